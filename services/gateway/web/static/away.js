// Comes back by itself as soon as the server answers again.
import { untilReady } from "./more.js";

document.documentElement.classList.add("scripted");
untilReady(() => (location.pathname === "/away" ? location.replace("/") : location.reload()));
