// Jobs tell how far they are; what they say aloud is where they stand, not each percent.
import { t } from "./texts.js";

const status = document.querySelector(".admin [role=status]");

for (const job of document.querySelectorAll("[data-events]")) follow(job);

function follow(job) {
  const source = new EventSource(job.dataset.events);
  const show = (event) => {
    const now = JSON.parse(event.data);
    const progress = job.querySelector("progress");
    if (now.total) progress.value = Math.min(1, now.done / now.total);
    job.querySelector(".done").textContent = t("job_done", { done: now.done, total: now.total });
  };
  for (const name of ["state", "progress", "item_error", "resync"]) source.addEventListener(name, show);
  source.addEventListener("done", (event) => {
    source.close();
    show(event);
    status.textContent = t("job_over");
    // What it has changed stands in several places; whoever is writing something keeps it.
    if (![...document.querySelectorAll(".admin input")].some((field) => field.value)) setTimeout(() => location.reload(), 800);
  });
}
