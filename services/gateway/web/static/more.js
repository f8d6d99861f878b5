// The list grows as one scrolls, by the same link that makes it longer without a script.
import { t } from "./texts.js";

const AHEAD = "1200px";
const RETRY_MS = 3000;

/** Loads what the link under the list leads to when it comes near, or when it is pressed. */
export function loadMore(wall) {
  const list = document.querySelector("ol.wall, ol.texts");
  const status = document.querySelector(".summary[role=status]");
  let line = document.querySelector("p.more");
  if (!list || !line) return;
  let loading = false;

  const load = async (pressed) => {
    if (loading || !line) return;
    loading = true;
    const link = line.querySelector("a");
    const address = new URL(link.href);
    line.setAttribute("aria-busy", "true");
    if (pressed) status.textContent = t("loading");
    const part = await fetched(address);
    line.removeAttribute("aria-busy");
    loading = false;
    if (!part) {
      status.textContent = t("more_failed");
      line.classList.add("failed");
      near.disconnect();
      return;
    }
    const items = [...part.querySelectorAll("ol > li")];
    list.append(...items);
    wall?.add(items);
    status.textContent = part.querySelector(".summary").textContent;
    const next = part.querySelector("p.more");
    near.disconnect();
    if (next) line.replaceWith(next);
    else line.remove();
    line = next;
    watch();
    // Coming back leads to the list as long as it is now.
    history.replaceState(history.state, "", address.pathname + address.search + location.hash);
    if (pressed) items.find((item) => item.id)?.querySelector("a").focus();
  };

  const near = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && load(false), {
    rootMargin: `${AHEAD} 0px`,
  });
  const watch = () => line && near.observe(line);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("p.more a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    line.classList.remove("failed");
    load(true);
  });
  watch();
}

/** The part of the list at `address`, or null where it cannot be had. */
async function fetched(address) {
  const part = new URL(address);
  part.searchParams.set("only", "new");
  try {
    const response = await fetch(part, { headers: { Accept: "text/html" } });
    if (!response.ok) return null;
    return new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    return null;
  }
}

/** Tries again by itself what failed because the server was not ready. */
export function retryByItself() {
  const error = document.querySelector(".error[data-retry]");
  if (error) untilReady(() => location.replace(error.dataset.retry));
}

/** Calls `done` once the server answers searches. */
export function untilReady(done) {
  const ask = async () => {
    try {
      if ((await fetch("/readyz", { cache: "no-store" })).ok) return done();
    } catch {
      // Not yet.
    }
    setTimeout(ask, RETRY_MS);
  };
  setTimeout(ask, RETRY_MS);
}
