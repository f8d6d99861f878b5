// What scripts say, in the page's language: the table "script" of its file of texts.

const texts = JSON.parse(document.querySelector("meta[name=texts]")?.content ?? "{}");

/** The text `key`, with `{name}` replaced by `values.name`. */
export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
