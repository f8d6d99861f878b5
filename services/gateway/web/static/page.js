// Comforts on top of a page that works without them: a chosen, dropped or pasted picture searches at once.
const form = document.querySelector(".upload");
const field = document.querySelector("#picture");

document.documentElement.classList.add("scripted");

function searchWith(files) {
  const picture = [...files].find((file) => file.type.startsWith("image/"));
  if (!picture) return false;
  const chosen = new DataTransfer();
  chosen.items.add(picture);
  field.files = chosen.files;
  form.requestSubmit();
  return true;
}

field.addEventListener("change", () => {
  if (field.files.length) form.requestSubmit();
});

document.addEventListener("paste", (event) => {
  if (searchWith(event.clipboardData.files)) event.preventDefault();
});

document.addEventListener("dragover", (event) => {
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (searchWith(event.dataTransfer.files)) event.preventDefault();
});
