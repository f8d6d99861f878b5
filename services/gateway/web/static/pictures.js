// A chosen, dropped or pasted picture searches at once.

/** Lets pictures reach `form` by each of these ways. */
export function searchWithPictures(form) {
  const field = form.querySelector("input[type=file]");
  const send = () => {
    form.classList.add("busy");
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

  field.addEventListener("change", () => field.files.length && send());
  addEventListener("pageshow", () => form.classList.remove("busy"));
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
