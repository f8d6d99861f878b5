// Comforts on top of a page that works without them.
import { justify } from "./wall.js";
import { searchWithPictures } from "./pictures.js";
import { explainInPlace } from "./why.js";

document.documentElement.classList.add("scripted");
justify(document.querySelector(".wall"));
searchWithPictures(document.querySelector(".upload"));
explainInPlace();
