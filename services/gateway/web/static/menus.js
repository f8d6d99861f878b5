// Menus that close when one looks elsewhere, filters that stand open where there is room, and forms without empty fields.

const ROOMY = matchMedia("(min-width: 64rem)");

/** Lets a menu close by Escape or by a click beside it, and the filters stand open on a wide window. */
export function foldMenus() {
  const close = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
  };
  document.addEventListener("click", (event) => close(event.target.closest?.("details.menu")));
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  // The page comes back as it was left, but nobody wants to come back to an open menu.
  addEventListener("pageshow", () => close());
  for (const menu of document.querySelectorAll("details.add")) {
    menu.addEventListener("toggle", () => menu.open && menu.querySelector("input[type=text]").focus());
  }
  const filters = document.querySelector("details.facets");
  if (!filters) return;
  filters.open = ROOMY.matches;
  ROOMY.addEventListener("change", () => (filters.open = ROOMY.matches));
}

/** Keeps what says nothing out of addresses. */
export function tidyForms() {
  for (const form of document.querySelectorAll("form[method=get]")) {
    form.addEventListener("formdata", ({ formData }) => {
      // An empty text is kept beside others: it holds its place, so that their weights stay theirs.
      const texts = formData.getAll("q");
      const empty = [...formData].filter(([name, value]) => !value && (name !== "q" || texts.length < 2));
      for (const [name] of empty) formData.delete(name);
    });
  }
}
