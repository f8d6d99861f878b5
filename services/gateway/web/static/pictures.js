// A chosen, photographed, dropped or pasted picture searches at once, together with the words in the field.
import { t } from "./texts.js";

/** Lets pictures reach `form` by each of these ways. */
export function searchWithPictures(form) {
  const field = form.querySelector("#picture");
  const words = document.querySelector("#q");
  const said = document.createElement("p");
  said.className = "unseen";
  form.append(said);
  const send = () => {
    form.classList.add("busy");
    said.textContent = t("sending");
    said.setAttribute("role", "status");
    form.requestSubmit();
  };
  const take = (files) => {
    const picture = [...files].find((file) => file.type.startsWith("image/"));
    if (!picture) return false;
    const chosen = new DataTransfer();
    chosen.items.add(picture);
    field.files = chosen.files;
    send();
    return true;
  };
  form.addEventListener("formdata", ({ formData }) => words && formData.set("q", words.value));
  for (const input of form.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => input.files.length && send());
  }
  addEventListener("pageshow", () => {
    form.classList.remove("busy");
    said.textContent = "";
    said.removeAttribute("role");
    form.reset();
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files) && event.preventDefault());
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!event.dataTransfer.files.length) return;
    // Never let the browser leave the page for a dropped file, picture or not.
    event.preventDefault();
    take(event.dataTransfer.files);
  });
}
