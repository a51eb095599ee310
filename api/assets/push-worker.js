// The service worker of devices that are told of questions: shows what a push says, and opens its page.
// It is fetched anew under a path of its own, keeps nothing and stands before no request.

/** The address, where it is one of this service; else that of the inbox. Another service may stand on the same host,
 * below another path. */
function ours(text) {
  const root = new URL("../../", self.registration.scope);
  const url = URL.canParse(text ?? "") ? new URL(text) : root;
  const isOurs = url.href.startsWith(root.href) && url.href !== root.href;
  return isOurs ? url.href : new URL("inbox", root).href;
}

function read(data) {
  try {
    return data.json() ?? {};
  } catch {
    return {};
  }
}

const line = (text, otherwise) => (typeof text === "string" && text ? text : otherwise);

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("push", (event) => {
  // A push without a notification is held against the site, so one that cannot be read is shown too.
  const { title, body, url } = read(event.data);
  const address = ours(url);
  event.waitUntil(self.registration.showNotification(line(title, "A decision is wanted"), {
    body: line(body, ""),
    // A question that is told twice is shown once.
    tag: address,
    data: address,
  }));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(ours(event.notification.data)));
});

async function open(address) {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = pages.find((page) => page.url === address);
  return there ? there.focus() : self.clients.openWindow(address);
}
