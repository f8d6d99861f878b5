// The map as a canvas that is moved and zoomed, over the drawing that is there without a script.
import KDBush from "./vendor/kdbush-4.1.0.js";
import { t } from "./texts.js";
import { MapCanvas } from "./mapcanvas.js";
import { small } from "./thumbnails.js";

const SIDE = 65535;
const LISTED = 48;
const PICTURES = 150;
const QUIET = 220;
const box = document.querySelector(".map");
const waiting = document.querySelector("[data-waiting]");

if (box) start(box);
if (waiting) wait(waiting.dataset.waiting);

/** Looks every now and then whether the map has been made. The page's own refresh is for those without a script. */
async function wait(address) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const response = await fetch(address).catch(() => undefined);
    if (response?.status === 200) return location.reload();
  }
}

async function start(element) {
  const response = await fetch(element.dataset.points);
  if (response.status !== 200) return;
  const digest = response.headers.get("ETag")?.replaceAll(/W\/|"/g, "");
  if (digest !== element.dataset.digest) return location.reload();
  const points = unpacked(await response.arrayBuffer());
  const index = new KDBush(points.count, 64, Float32Array);
  for (let point = 0; point < points.count; point++) index.add(points.x[point], points.y[point]);
  index.finish();
  const marked = element.dataset.marked ? element.dataset.marked.split(",").map(Number) : [];
  const labels = [...element.querySelectorAll("text")].map((text) => ({
    text: text.textContent,
    x: Number(text.getAttribute("x")) / 1000,
    y: Number(text.getAttribute("y")) / 1000,
  }));
  const works = new Works(element.dataset.points, digest);
  const canvas = new MapCanvas(element, points, index, marked, labels);
  canvas.side = Number(element.dataset.side);
  if (canvas.side < 1) canvas.centre = { x: Number(element.dataset.x), y: Number(element.dataset.y) };
  element.classList.add("live");
  canvas.resize();

  let timer;
  canvas.onview = () => {
    clearTimeout(timer);
    timer = setTimeout(() => settled(canvas, works, marked), QUIET);
  };
  canvas.onpoint = async (point, at) => showTip(element, point === undefined ? undefined : await works.one(point), at);
  canvas.onopen = async (point) => {
    const work = await works.one(point);
    if (work) location.assign(work.page);
  };
  document.querySelector(".steps-of-map").addEventListener("click", (event) => {
    const action = event.target.closest("a")?.dataset.do;
    if (!action) return;
    event.preventDefault();
    canvas.act(action);
  });
  for (const step of document.querySelectorAll(".steps-of-map [aria-disabled]")) {
    step.removeAttribute("aria-disabled");
    step.href = "#results";
  }
  settled(canvas, works, marked, true);
}

function unpacked(buffer) {
  const count = buffer.byteLength / 7;
  const pairs = new Uint16Array(buffer, 0, 2 * count);
  const x = new Float32Array(count);
  const y = new Float32Array(count);
  for (let point = 0; point < count; point++) {
    x[point] = pairs[2 * point] / SIDE;
    y[point] = pairs[2 * point + 1] / SIDE;
  }
  return { count, x, y, colours: new Uint8Array(buffer, 4 * count) };
}

/** What belongs to points, asked for once, many at a time. */
class Works {
  constructor(address, digest) {
    this.address = `${address}/works?v=${digest}&points=`;
    this.known = new Map();
  }

  async of(points) {
    const missing = points.filter((point) => !this.known.has(point));
    if (missing.length) {
      const response = await fetch(this.address + missing.join(",")).catch(() => undefined);
      if (response?.status === 404) location.reload();
      if (!response?.ok) return [];
      for (const work of (await response.json()).works) this.known.set(work.point, work);
    }
    return points.map((point) => this.known.get(point)).filter(Boolean);
  }

  async one(point) {
    return (await this.of([point]))[0];
  }
}

/** The view stays as it is: list the works in it, show their pictures where there is room, keep its address. */
async function settled(canvas, works, marked, first = false) {
  const held = canvas.inView();
  const rank = new Map(marked.map((point, place) => [point, place]));
  held.sort((one, other) => (rank.get(one) ?? Infinity) - (rank.get(other) ?? Infinity) || canvas.far(one) - canvas.far(other));
  const address = new URL(location.href);
  for (const name of ["x", "y", "side"]) address.searchParams.delete(name);
  if (canvas.side < 1) {
    address.searchParams.set("x", canvas.centre.x.toFixed(4));
    address.searchParams.set("y", canvas.centre.y.toFixed(4));
    address.searchParams.set("side", canvas.side.toFixed(4));
  }
  history.replaceState(history.state, "", address);
  canvas.show(held.length <= PICTURES ? await works.of(held) : []);
  if (!first) list(await works.of(held.slice(0, LISTED)), held.length);
}

function list(works, count) {
  const status = document.querySelector(".in-view [role=status]");
  status.textContent = t("map_in_view", { shown: works.length, count });
  document.querySelector(".in-view .works").replaceChildren(
    ...works.map((work) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = work.page;
      if (work.picture) link.append(picture(work));
      link.append(span("title", work.title));
      if (work.artist) link.append(span("who", work.artist));
      item.append(link);
      return item;
    }),
  );
}

function picture(work) {
  const image = document.createElement("img");
  image.alt = "";
  image.loading = "lazy";
  image.width = work.picture.width;
  image.height = work.picture.height;
  image.src = small(work.picture);
  return image;
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

let tip;
function showTip(element, work, at) {
  tip?.remove();
  if (!work) return;
  tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("aria-hidden", "true");
  if (work.picture) tip.append(picture(work));
  const title = document.createElement("b");
  title.textContent = work.title;
  tip.append(title, [work.artist, work.date].filter(Boolean).join(", "));
  element.append(tip);
  const left = at.x + 16 + tip.offsetWidth > element.clientWidth ? at.x - 16 - tip.offsetWidth : at.x + 16;
  const top = Math.min(Math.max(at.y - tip.offsetHeight / 2, 4), Math.max(4, element.clientHeight - tip.offsetHeight - 4));
  Object.assign(tip.style, { left: `${Math.max(4, left)}px`, top: `${top}px` });
}
