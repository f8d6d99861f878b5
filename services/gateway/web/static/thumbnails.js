// Thumbnails of the pictures that scripts show, no larger than their places on this screen.

const DENSE = 1.5;

/** The address of a picture that is shown 80 to 160 CSS pixels high. */
export function small(picture) {
  return `${picture.thumbnail_url}&height=${devicePixelRatio > DENSE ? 320 : 160}`;
}
