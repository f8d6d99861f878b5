// Recent searches: kept in this browser alone, shown on the first view, forgotten on request.

const KEY = "boonart.searches";
const MOST = 12;

/** Adds the search that this page answers. */
export function remember() {
  const address = location.pathname + location.search;
  const label = document.title.replace(/ · BoonArt$/, "");
  if (location.pathname !== "/" || !document.querySelector(".results") || label === "BoonArt") return;
  // A picture's address is forgotten by the server before long.
  if (new URLSearchParams(location.search).has("picture")) return;
  const others = read().filter((search) => search.label !== label);
  write([{ label, address }, ...others].slice(0, MOST));
}

/** Shows them in `section`. */
export function showHistory(section) {
  const searches = read();
  if (!section || !searches.length) return;
  for (const { label, address } of searches) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = label;
    const item = document.createElement("li");
    item.append(link);
    section.querySelector("ul").append(item);
  }
  section.hidden = false;
  section.querySelector("button").addEventListener("click", () => {
    write([]);
    section.hidden = true;
    document.querySelector("#q").focus();
  });
}

function read() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    // Only addresses of this page's own searches are ever linked to.
    return found.filter(({ label, address }) => typeof label === "string" && /^\/\?[^\\]*$/.test(address));
  } catch {
    return [];
  }
}

function write(searches) {
  try {
    localStorage.setItem(KEY, JSON.stringify(searches));
  } catch {
    // A browser that keeps nothing remembers nothing.
  }
}
