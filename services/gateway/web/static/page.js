// Comforts on top of a page that works without them.
import { remember, showHistory } from "./history.js";
import { foldMenus, tidyForms } from "./menus.js";
import { loadMore, retryByItself } from "./more.js";
import { searchWithPictures } from "./pictures.js";
import { justify } from "./wall.js";
import { explainInPlace } from "./why.js";

document.documentElement.classList.add("scripted");
foldMenus();
const wall = justify(document.querySelector(".wall"));
const upload = document.querySelector(".upload");
if (upload) searchWithPictures(upload);
tidyForms();
loadMore(wall);
remember();
showHistory(document.querySelector(".history"));
explainInPlace();
retryByItself();
// Shows a page of ours instead of the browser's own while the server cannot be reached.
const version = new URLSearchParams({ lang: document.documentElement.lang, v: new URL(import.meta.url).search.slice(3) });
navigator.serviceWorker?.register(`/service-worker.js?${version}`).catch(() => {});
