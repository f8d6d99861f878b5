// While the server cannot be reached, a page of ours says so, keeps the address, and comes back by itself.

// The address says the language and the version, so that another one of either makes this worker anew.
const CACHE = `away${location.search}`;
const PAGE = `/away${location.search}`;

/** Keeps the page and what it needs, in the language it is in now. */
async function keep() {
  const response = await fetch(PAGE, { cache: "no-store" });
  if (!response.ok) return;
  const html = await response.clone().text();
  const assets = [...html.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)].map(([, address]) => address);
  const cache = await caches.open(CACHE);
  await cache.put(PAGE, response);
  await cache.addAll([...assets, "/static/more.js", "/static/texts.js"]);
}

addEventListener("install", (event) => event.waitUntil(keep().then(() => skipWaiting())));
addEventListener("activate", (event) =>
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
      await registration.navigationPreload?.enable();
      await clients.claim();
    })(),
  ),
);
addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.mode === "navigate" && request.method === "GET") event.respondWith(page(event));
  else if (request.method === "GET" && new URL(request.url).pathname.startsWith("/static/")) {
    event.respondWith(fetch(request).catch(() => kept(request)));
  }
});

async function page(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return kept(PAGE);
  }
}

async function kept(request) {
  return (await caches.match(request)) ?? Response.error();
}
