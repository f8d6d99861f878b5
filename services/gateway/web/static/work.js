// What a script adds to a work's own view: a closer look, and drawing the detail to search with.
import { zoomable } from "./zoom.js";
import { drawable } from "./detail.js";

const stage = document.querySelector(".stage");
if (stage?.querySelector(".picture")) {
  const zoom = zoomable(stage);
  drawable(stage, zoom);
}
