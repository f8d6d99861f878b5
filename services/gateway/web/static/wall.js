// Makes the rows of the wall equally wide, without cropping a picture: each row's height is adjusted a little.

const LOWEST = 0.8;
const HIGHEST = 1.3;
const NEARLY_FULL = 0.75;
// Beyond these proportions a picture is fitted into its place, with some of its placeholder left beside it.
const NARROWEST = 0.5;
const WIDEST = 3;

/** Keeps `wall` justified while the window changes its size; what is returned takes further tiles. */
export function justify(wall) {
  if (!wall) return null;
  const tiles = measured(wall.querySelectorAll(":scope > li"));
  let width = 0;
  const adapt = () => {
    if (wall.clientWidth === width) return;
    width = wall.clientWidth;
    place(wall, tiles, width);
  };
  adapt();
  new ResizeObserver(adapt).observe(wall);
  return {
    add(items) {
      tiles.push(...measured(items));
      place(wall, tiles, wall.clientWidth);
    },
  };
}

function measured(items) {
  return [...items]
    .filter((item) => !item.classList.contains("line"))
    .map((tile) => {
      const figure = tile.querySelector("img, .nopicture");
      const ratio = Number(figure.getAttribute("width")) / Number(figure.getAttribute("height")) || 1;
      return { tile, figure, ratio: Math.min(Math.max(ratio, NARROWEST), WIDEST) };
    });
}

function place(wall, tiles, width) {
  const style = getComputedStyle(wall);
  const gap = Number.parseFloat(style.columnGap);
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  const wanted = Number.parseFloat(style.getPropertyValue("--row")) * rem;
  for (const row of rows(tiles, width, wanted, gap)) {
    const ratios = row.reduce((sum, { ratio }) => sum + ratio, 0);
    const free = width - gap * (row.length - 1) - 0.5;
    const filling = free / ratios;
    const highest = wanted * HIGHEST;
    // A row that would nearly be full is filled all the same: on a phone that is mostly a single picture.
    const height = highest >= NEARLY_FULL * filling ? filling : highest;
    for (const { figure, tile, ratio } of row) {
      const across = Math.min(ratio * height, width);
      tile.style.width = `${across}px`;
      figure.style.width = `${across}px`;
      figure.style.height = `${height}px`;
    }
  }
}

/** Rows as they are filled: a tile that brings the row nearer to its wanted height stays in it. */
function rows(tiles, width, wanted, gap) {
  const found = [];
  let row = [];
  let ratios = 0;
  for (const next of tiles) {
    const startsAnew = row.length > 0 && next.tile.previousElementSibling?.classList.contains("line");
    const without = (width - gap * (row.length - 1)) / ratios;
    const withIt = (width - gap * row.length) / (ratios + next.ratio);
    if (row.length && (startsAnew || withIt < wanted * LOWEST || Math.abs(wanted - without) < Math.abs(wanted - withIt))) {
      found.push(row);
      row = [];
      ratios = 0;
    }
    row.push(next);
    ratios += next.ratio;
  }
  if (row.length) found.push(row);
  return found;
}
