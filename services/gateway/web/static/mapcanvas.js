// The canvas of the map: drawing, moving, zooming, and which point is meant.
import { small } from "./thumbnails.js";

const CLOSEST = 0.02;
const ZOOM = 1.6;
const REACH = 14;
const HUES = 32;

/** Draws `points` into `element`; tells `onview` that the view moved, `onpoint` what is pointed at, `onopen` what is chosen. */
export class MapCanvas {
  constructor(element, points, index, marked, labels) {
    Object.assign(this, { element, points, index, labels });
    this.marked = marked;
    this.isMarked = new Set(marked);
    const [left, top, right, bottom] = element.dataset.extent.split(",").map(Number);
    this.extent = { left, top, right, bottom };
    this.centre = this.middle;
    this.side = 1;
    this.pictures = new Map();
    this.buckets = bucketed(points);
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", element.dataset.label);
    this.canvas.setAttribute("aria-describedby", "map-keys");
    element.prepend(this.canvas);
    element.querySelector(".keys").hidden = false;
    this.pen = this.canvas.getContext("2d");
    this.listen();
    new ResizeObserver(() => this.resize()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  // --- places ---

  get scale() {
    const { left, top, right, bottom } = this.extent;
    return Math.min(this.width / (right - left), this.height / (bottom - top)) / this.side;
  }

  get middle() {
    const { left, top, right, bottom } = this.extent;
    return { x: (left + right) / 2, y: (top + bottom) / 2 };
  }

  onScreen(x, y) {
    return { x: this.width / 2 + (x - this.centre.x) * this.scale, y: this.height / 2 + (y - this.centre.y) * this.scale };
  }

  onMap(x, y) {
    return { x: this.centre.x + (x - this.width / 2) / this.scale, y: this.centre.y + (y - this.height / 2) / this.scale };
  }

  inView() {
    const low = this.onMap(0, 0);
    const high = this.onMap(this.width, this.height);
    return this.index.range(low.x, low.y, high.x, high.y);
  }

  far(point) {
    return Math.hypot(this.points.x[point] - this.centre.x, this.points.y[point] - this.centre.y);
  }

  near(x, y) {
    const here = this.onMap(x, y);
    const found = this.index.within(here.x, here.y, Math.max(REACH, this.picturesSide / 2) / this.scale);
    const gap = (point) => Math.hypot(this.points.x[point] - here.x, this.points.y[point] - here.y);
    return found.sort((one, other) => gap(one) - gap(other))[0];
  }

  get picturesSide() {
    if (!this.pictures.size) return 0;
    return Math.min(110, Math.max(34, 0.75 * Math.sqrt((this.width * this.height) / this.pictures.size)));
  }

  // --- moving ---

  look(x, y, side) {
    this.side = Math.min(Math.max(side, CLOSEST), 1);
    const clamp = (value) => Math.min(Math.max(value, 0), 1);
    this.centre = this.side >= 1 ? this.middle : { x: clamp(x), y: clamp(y) };
    this.paint();
    this.onview?.();
  }

  zoomAt(x, y, by) {
    const before = this.onMap(x, y);
    this.side = Math.min(Math.max(this.side / by, CLOSEST), 1);
    const after = this.onMap(x, y);
    this.look(this.centre.x + before.x - after.x, this.centre.y + before.y - after.y, this.side);
  }

  act(action) {
    const step = 0.3 * this.side;
    const { x, y } = this.centre;
    const actions = {
      zoom_in: () => this.look(x, y, this.side / ZOOM),
      zoom_out: () => this.look(x, y, this.side * ZOOM),
      left: () => this.look(x - step, y, this.side),
      right: () => this.look(x + step, y, this.side),
      up: () => this.look(x, y - step, this.side),
      down: () => this.look(x, y + step, this.side),
      whole: () => this.look(x, y, 1),
    };
    actions[action]?.();
    return action in actions;
  }

  listen() {
    const canvas = this.canvas;
    const keys = {
      "+": "zoom_in", "=": "zoom_in", "-": "zoom_out", 0: "whole",
      ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
    };
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (this.act(keys[event.key])) event.preventDefault();
    });
    canvas.addEventListener("wheel", (event) => {
      // At the whole map a wheel that would zoom out further goes on scrolling the page.
      if (this.side >= 1 && event.deltaY > 0) return;
      event.preventDefault();
      this.zoomAt(event.offsetX, event.offsetY, Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 160));
    }, { passive: false });

    const held = new Map();
    let moved = false;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      held.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      moved = held.size > 1;
    });
    canvas.addEventListener("pointermove", (event) => {
      const here = { x: event.offsetX, y: event.offsetY };
      const before = held.get(event.pointerId);
      if (!before) return this.point(here);
      if (!moved && Math.hypot(here.x - before.x, here.y - before.y) < 4) return;
      moved = true;
      canvas.classList.add("moving");
      this.onpoint?.(undefined);
      if (held.size === 2) {
        const [other] = [...held].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
        const by = Math.hypot(here.x - other.x, here.y - other.y) / (Math.hypot(before.x - other.x, before.y - other.y) || 1);
        this.zoomAt((here.x + other.x) / 2, (here.y + other.y) / 2, by);
      } else {
        const { x, y } = this.centre;
        this.look(x - (here.x - before.x) / this.scale, y - (here.y - before.y) / this.scale, this.side);
      }
      held.set(event.pointerId, here);
    });
    const end = (event) => {
      held.delete(event.pointerId);
      canvas.classList.remove("moving");
    };
    canvas.addEventListener("pointerup", (event) => {
      const still = held.has(event.pointerId) && !moved;
      end(event);
      const point = still ? this.near(event.offsetX, event.offsetY) : undefined;
      if (point !== undefined) this.onopen?.(point);
    });
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerleave", () => this.point(undefined));
  }

  point(here) {
    const point = here && this.near(here.x, here.y);
    this.canvas.classList.toggle("over", point !== undefined);
    if (point === this.pointed) return;
    this.pointed = point;
    this.onpoint?.(point, here);
  }

  // --- drawing ---

  resize() {
    const ratio = devicePixelRatio || 1;
    this.width = this.element.clientWidth;
    this.height = this.element.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paint();
  }

  /** Pictures for these works instead of dots. */
  show(works) {
    const kept = new Map();
    for (const { point, picture } of works) {
      if (!picture) continue;
      let image = this.pictures.get(point);
      if (!image) {
        image = new Image();
        image.addEventListener("load", () => this.paint());
        image.src = small(picture);
      }
      kept.set(point, image);
    }
    this.pictures = kept;
    this.paint();
  }

  paint() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  draw() {
    const { pen, points } = this;
    const style = getComputedStyle(this.element);
    const [ground, ink, accent, edge] = ["--card", "--ink", "--accent", "--edge"].map((name) => style.getPropertyValue(name));
    pen.clearRect(0, 0, this.width, this.height);
    const radius = Math.min(7, Math.max(1.6, this.scale / 55 / Math.sqrt(points.count / 40 + 1)));
    // A thin line keeps dark pictures from vanishing on a dark ground, and light ones on a light ground.
    pen.strokeStyle = edge;
    pen.lineWidth = 0.6;
    pen.globalAlpha = this.isMarked.size ? 0.4 : 0.95;
    for (const [colour, members] of this.buckets) this.drawDots(members, colour, radius);
    pen.globalAlpha = 1;
    for (const [colour, members] of this.isMarked.size ? this.buckets : []) {
      this.drawDots(members.filter((point) => this.isMarked.has(point)), colour, radius);
    }
    this.drawPictures(ground);
    this.drawMarks(radius, accent);
    this.drawLabels(style, ground, ink);
  }

  drawDots(members, colour, radius) {
    const { pen, points } = this;
    pen.fillStyle = colour;
    pen.beginPath();
    for (const point of members) {
      const { x, y } = this.onScreen(points.x[point], points.y[point]);
      if (x < -9 || y < -9 || x > this.width + 9 || y > this.height + 9) continue;
      pen.moveTo(x + radius, y);
      pen.arc(x, y, radius, 0, 7);
    }
    pen.fill();
    if (radius > 2) pen.stroke();
  }

  drawPictures(ground) {
    const side = this.picturesSide;
    // What is marked lies on top; a veil over the others keeps them from showing through each other.
    const marked = ([point]) => this.isMarked.has(point);
    const pictures = [...this.pictures].sort((one, other) => marked(one) - marked(other));
    for (const [point, image] of pictures) {
      if (!image.naturalWidth) continue;
      const { x, y } = this.onScreen(this.points.x[point], this.points.y[point]);
      const by = side / Math.max(image.naturalWidth, image.naturalHeight);
      const [width, height] = [image.naturalWidth * by, image.naturalHeight * by];
      const place = [x - width / 2, y - height / 2, width, height];
      this.pen.fillStyle = ground;
      this.pen.fillRect(place[0] - 1.5, place[1] - 1.5, width + 3, height + 3);
      this.pen.drawImage(image, ...place);
      if (!this.isMarked.size || this.isMarked.has(point)) continue;
      this.pen.globalAlpha = 0.5;
      this.pen.fillRect(...place);
      this.pen.globalAlpha = 1;
    }
  }

  drawMarks(radius, accent) {
    const side = this.picturesSide;
    this.pen.strokeStyle = accent;
    this.pen.lineWidth = 2.5;
    this.pen.beginPath();
    for (const point of this.marked) {
      const { x, y } = this.onScreen(this.points.x[point], this.points.y[point]);
      const image = this.pictures.get(point);
      if (image?.naturalWidth) {
        const by = side / Math.max(image.naturalWidth, image.naturalHeight);
        const [width, height] = [image.naturalWidth * by + 5, image.naturalHeight * by + 5];
        this.pen.rect(x - width / 2, y - height / 2, width, height);
      } else {
        this.pen.moveTo(x + radius + 3, y);
        this.pen.arc(x, y, radius + 3, 0, 7);
      }
    }
    this.pen.stroke();
  }

  drawLabels(style, ground, ink) {
    if (this.pictures.size) return;
    const { pen } = this;
    pen.font = `600 15px ${style.getPropertyValue("--serif")}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    pen.lineWidth = 5;
    pen.strokeStyle = ground;
    pen.fillStyle = ink;
    for (const label of this.labels) {
      const { x, y } = this.onScreen(label.x, label.y);
      pen.strokeText(label.text, x, y);
      pen.fillText(label.text, x, y);
    }
  }
}

/** Points by colour, in few shades: changing the colour is what drawing many dots costs. */
function bucketed({ count, colours }) {
  const found = new Map();
  for (let point = 0; point < count; point++) {
    const shade = [0, 1, 2].map((part) => Math.min(255, Math.round(colours[3 * point + part] / HUES) * HUES));
    const colour = `rgb(${shade.join(" ")})`;
    if (!found.has(colour)) found.set(colour, []);
    found.get(colour).push(point);
  }
  return found;
}
