// Whichever work is pointed at or has the focus is marked in both lists.

const works = [...document.querySelectorAll(".sides li")];

function mark(event) {
  const chosen = event.target.closest?.(".sides li")?.dataset.mark;
  for (const work of works) work.classList.toggle("marked", work.dataset.mark === chosen);
}

document.addEventListener("pointerover", mark);
document.addEventListener("focusin", mark);
