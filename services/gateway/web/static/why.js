// "Why it matched" opens over the results instead of leaving them; without the script it is a page of its own.
import { t } from "./texts.js";

/** Lets each link to an explanation open it in a dialog. */
export function explainInPlace() {
  let dialog;
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a.ask-why");
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    link.setAttribute("aria-busy", "true");
    const why = await fetched(link.href);
    link.removeAttribute("aria-busy");
    if (!why) {
      location.assign(link.href);
      return;
    }
    dialog ??= made();
    dialog.querySelector(".why")?.remove();
    dialog.append(why);
    dialog.showModal();
  });
}

/** The explanation in the page at `address`, or null where there is none: then the page itself says so best. */
async function fetched(address) {
  try {
    const response = await fetch(address, { headers: { Accept: "text/html" } });
    if (!response.ok) return null;
    return new DOMParser().parseFromString(await response.text(), "text/html").querySelector(".why");
  } catch {
    return null;
  }
}

function made() {
  const dialog = document.createElement("dialog");
  dialog.className = "overlay";
  dialog.setAttribute("aria-labelledby", "why-title");
  const close = document.createElement("button");
  close.type = "button";
  close.className = "second close";
  close.textContent = t("close");
  close.addEventListener("click", () => dialog.close());
  // A click on the ground beside the dialog closes it: it then comes from the dialog itself.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.append(close);
  document.body.append(dialog);
  return dialog;
}
