// The detail to search with, drawn on the picture: by dragging, or by clicking two of its corners.

const LEAST = 5;
const DRAGGED = 6;

/** Lets a detail be drawn while its form is open; the form's numbers and the drawing follow each other. */
export function drawable(stage, zoom) {
  const form = stage.querySelector(".detail form");
  const box = stage.querySelector(".detail");
  const image = stage.querySelector(".picture img");
  const fields = ["left", "top", "width", "height"].map((name) => form.elements[name]);
  const layer = document.createElement("div");
  const selection = document.createElement("div");
  const corner = document.createElement("div");
  layer.className = "drawing";
  selection.className = "selection";
  corner.className = "corner";
  corner.hidden = true;
  layer.append(selection, corner);

  const place = () => {
    layer.style.left = `${image.offsetLeft}px`;
    layer.style.top = `${image.offsetTop}px`;
    layer.style.width = `${image.offsetWidth}px`;
    layer.style.height = `${image.offsetHeight}px`;
  };
  const draw = () => {
    const [left, top, width, height] = fields.map((field) => Number(field.value));
    Object.assign(selection.style, { left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%` });
  };
  const take = (from, to) => {
    const [left, width] = span(from.x, to.x);
    const [top, height] = span(from.y, to.y);
    [left, top, width, height].forEach((value, number) => (fields[number].value = value));
    draw();
  };
  const at = (event) => {
    const area = layer.getBoundingClientRect();
    return { x: (event.clientX - area.left) / area.width, y: (event.clientY - area.top) / area.height };
  };

  let from;
  let dragging;
  layer.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    layer.setPointerCapture(event.pointerId);
    dragging = { point: at(event), x: event.clientX, y: event.clientY, far: false };
    event.preventDefault();
  });
  layer.addEventListener("pointermove", (event) => {
    if (from && !dragging) take(from, at(event));
    if (!dragging) return;
    dragging.far ||= Math.hypot(event.clientX - dragging.x, event.clientY - dragging.y) > DRAGGED;
    if (dragging.far) take(dragging.point, at(event));
  });
  layer.addEventListener("pointerup", (event) => {
    if (!dragging) return;
    const here = at(event);
    if (dragging.far) {
      take(dragging.point, here);
      from = undefined;
    } else if (from) {
      take(from, here);
      from = undefined;
    } else {
      from = here;
      Object.assign(corner.style, { left: `${100 * here.x}%`, top: `${100 * here.y}%` });
    }
    corner.hidden = !from;
    dragging = undefined;
  });
  layer.addEventListener("pointercancel", () => (dragging = undefined));
  form.addEventListener("input", draw);

  box.addEventListener("toggle", () => {
    if (box.open) {
      zoom.close({ focus: false });
      // A veil over the picture would hide what is drawn upon.
      const alone = stage.querySelector(".matched input");
      if (alone) alone.checked = true;
      image.closest(".frame").append(layer);
      place();
      draw();
      box.scrollIntoView({ block: "end" });
    } else layer.remove();
  });
  stage.querySelector("[data-do=open]").addEventListener("click", () => (box.open = false));
  new ResizeObserver(place).observe(image);
  form.querySelector(".drawn").hidden = false;
}

/** Start and length in whole percents between two places given in parts of a side, neither too short nor outside. */
function span(one, other) {
  const inside = (value) => Math.min(Math.max(value, 0), 1);
  const low = Math.round(100 * inside(Math.min(one, other)));
  const high = Math.round(100 * inside(Math.max(one, other)));
  const length = Math.max(high - low, LEAST);
  return [Math.min(low, 100 - length), length];
}
