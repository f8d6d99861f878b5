// A closer look at a picture: OpenSeadragon, loaded when it is first wanted, with buttons for all it does.

const STEP = 1.5;
const MOVE = 0.25;
const SECONDS = 0.5;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Lets the picture of `stage` be zoomed; returns how to close that view. */
export function zoomable(stage) {
  const picture = stage.querySelector(".picture");
  const zoomer = stage.querySelector(".zoomer");
  const tools = stage.querySelector(".tools");
  const opener = tools.querySelector("[data-do=open]");
  let viewer;

  const show = (open) => {
    stage.classList.toggle("zoom-open", open);
    zoomer.hidden = !open;
    opener.hidden = open;
    opener.setAttribute("aria-expanded", String(open));
    for (const part of tools.querySelectorAll(".zooming")) part.hidden = !open;
  };
  const open = async () => {
    show(true);
    try {
      viewer ??= made(await library(tools.dataset.viewer), zoomer, picture.href, tools.dataset.label, close);
    } catch {
      // Then the picture itself is the closer look.
      location.assign(picture.href);
      return;
    }
    viewer.viewport?.goHome(true);
    viewer.canvas.focus({ preventScroll: true });
  };
  const full = (wanted) => {
    stage.classList.toggle("full", wanted);
    tools.querySelector("[data-do=full]").setAttribute("aria-pressed", String(wanted));
    if (wanted) stage.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement) document.exitFullscreen();
  };
  function close({ focus = true } = {}) {
    if (zoomer.hidden) return;
    if (stage.classList.contains("full")) full(false);
    show(false);
    if (focus) opener.focus();
  }

  const actions = {
    open,
    close,
    in: () => zoom(viewer, STEP),
    out: () => zoom(viewer, 1 / STEP),
    left: () => move(viewer, -MOVE, 0),
    right: () => move(viewer, MOVE, 0),
    up: () => move(viewer, 0, -MOVE),
    down: () => move(viewer, 0, MOVE),
    reset: () => viewer?.viewport.goHome(calm.matches),
    full: () => full(!stage.classList.contains("full")),
  };
  tools.hidden = false;
  tools.addEventListener("click", (event) => actions[event.target.closest("button")?.dataset.do]?.());
  picture.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });
  // Escape leaves the browser's own full screen without telling the page otherwise.
  document.addEventListener("fullscreenchange", () => document.fullscreenElement || full(false));
  stage.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !zoomer.hidden) close();
  });
  return { close };
}

function zoom(viewer, by) {
  viewer?.viewport.zoomBy(by, undefined, calm.matches).applyConstraints(calm.matches);
}

function move(viewer, across, down) {
  if (!viewer) return;
  const { width, height } = viewer.viewport.getBounds();
  viewer.viewport.panBy(new OpenSeadragon.Point(across * width, down * height), calm.matches).applyConstraints(calm.matches);
}

/** The library, once: a classic script that leaves a global. */
function library(address) {
  if (globalThis.OpenSeadragon) return globalThis.OpenSeadragon;
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.addEventListener("load", () => resolve(globalThis.OpenSeadragon));
    script.addEventListener("error", reject);
    document.head.append(script);
  });
}

/** The library adds a style element where it finds none that is marked so, and the policy of the page forbids that. An
 *  element of this name that is no part of HTML passes for one. */
function withoutInlineStyle() {
  const marker = document.createElementNS(null, "style");
  marker.setAttribute("data-openseadragon-mobile-css", "true");
  document.head.append(marker);
}

function made(library, element, picture, label, close) {
  withoutInlineStyle();
  const viewer = library({
    element,
    tileSources: { type: "image", url: picture },
    drawer: "canvas",
    showNavigationControl: false,
    visibilityRatio: 0.8,
    minZoomImageRatio: 0.9,
    maxZoomPixelRatio: 4,
    animationTime: calm.matches ? 0 : SECONDS,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
  });
  // Two fingers zoom and one moves; a wheel without Ctrl goes on scrolling the page once the picture is whole again.
  viewer.addHandler("canvas-scroll", (event) => {
    const whole = viewer.viewport.getZoom() <= viewer.viewport.getHomeZoom() * 1.01;
    if (event.scroll < 0 && whole) {
      event.preventDefaultAction = true;
      event.preventDefault = false;
    }
  });
  viewer.addHandler("canvas-key", (event) => {
    const { key } = event.originalEvent;
    if (key === "Escape") close();
    // Turning and mirroring a painting is nothing that one wants by a slip.
    event.preventDefaultAction = !["+", "=", "-", "_", "0", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(key);
  });
  viewer.canvas.setAttribute("role", "application");
  viewer.canvas.setAttribute("aria-label", label);
  viewer.canvas.setAttribute("aria-describedby", "zoom-keys");
  return viewer;
}
