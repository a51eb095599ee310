// Views of who is logged in: brings the page up to date as things change, and answers the keyboard. Without it
// the page reads as well.

import { ask, askConfirmed, link, table } from "./api.js";
import { explain, hush, local, say } from "./ceremony.js";
import { copyDigests } from "./copy.js";
import { follow } from "./live.js";

const main = document.getElementById("content");
const root = main.dataset.root;
/** The kinds of things that the page shows. */
const kinds = new Set((main.dataset.kinds ?? "").split(" "));
/** The part that is brought up to date. */
const lists = () => document.getElementById("lists");

/** Not more often than this is the page asked for again, and not less. */
const LEAST_PAUSE = 1000;
const MOST_PAUSE = 60000;
/** A list that has just moved takes no click: it was meant for what stood there before. */
const SETTLES = 700;
/** How long `g` waits for the letter of a view. */
const LETTER = 1500;

let asOf = main.dataset.asOf;
/** The list's text as the service made it. */
let text = lists()?.textContent;
let movedAt = -Infinity;
let askedAt = -Infinity;
let timer = 0;

/** The page as the service makes it now; parsed by the browser, and none of its scripts run. */
function page() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.pathname + location.search);
    request.setRequestHeader("accept", "text/html");
    request.responseType = "document";
    request.onload = () => resolve(request);
    request.onerror = request.onabort = request.ontimeout = () => reject(new Error("not reached"));
    request.timeout = 30000;
    request.send();
  });
}

/** Brings the page up to date. What is marked stays marked by its id, wherever its row stands then. */
async function refresh() {
  clearTimeout(timer);
  timer = 0;
  askedAt = performance.now();
  const answer = await page();
  // Whoever is logged out is led to the login.
  if (new URL(answer.responseURL).pathname !== location.pathname || [401, 403, 404].includes(answer.status)) {
    location.reload();
    return;
  }
  const next = answer.response;
  const list = answer.status === 200 && next?.getElementById("lists");
  if (!list) throw new Error("unavailable");
  const marked = document.activeElement;
  const inList = lists().contains(marked);
  const id = inList ? marked.id : "";
  const open = [...lists().querySelectorAll("details[id][open]")].map((part) => part.id);
  lists().replaceWith(document.importNode(list, true));
  for (const part of open) document.getElementById(part)?.setAttribute("open", "");
  local(lists());
  copyDigests();
  document.dispatchEvent(new Event("lists"));
  if (list.textContent !== text) movedAt = performance.now();
  text = list.textContent;
  document.title = next.title;
  asOf = next.getElementById("content").dataset.asOf;
  const still = id && document.getElementById(id);
  if (still) still.focus({ preventScroll: true });
  else if (inList) say("", "What was marked is not here any more", "It was decided, has ended, or stands on another page of this list.");
}

/** Has the page brought up to date soon. */
function soon() {
  if (timer) return;
  const wait = Math.max(0, askedAt + LEAST_PAUSE - performance.now());
  timer = setTimeout(() => refresh().catch(() => tell("Not connected")), wait);
}

const tell = (text) => { document.getElementById("live").textContent = text; };

follow(root, {
  asOf: () => Number(asOf),
  changed: (changes) => (!changes || changes.some((kind) => kinds.has(kind))) && soon(),
  stands: tell,
  ended: () => location.reload(),
});
// How long ago and how much is left are words of the page.
setInterval(() => !document.hidden && soon(), MOST_PAUSE);
// What moves without an event is asked for as long as it moves.
setInterval(() => !document.hidden && lists()?.querySelector("[data-moving]") && soon(), LEAST_PAUSE);

/** True while the list has just moved, which is said then. */
function refusesAfterMove() {
  if (performance.now() - movedAt > SETTLES) return false;
  say("", "The list has just moved", "Nothing was opened. Look again at what stands there now.");
  return true;
}

document.addEventListener("click", (event) => {
  const isPointer = event.detail > 0;
  const link = event.target.closest?.("a.open, #lists button");
  if (!isPointer || !link || !refusesAfterMove()) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });

/** Adds to the permissions of an agent. Where somebody has changed them since they were read, nothing is given. */
async function grant(path, added) {
  const { permissions } = await ask("GET", path);
  return askConfirmed("PATCH", path, { permissions: [...permissions, added], instead_of: permissions });
}

/** Has the browser save a list as a file. */
async function save(path) {
  const file = document.createElement("a");
  file.href = URL.createObjectURL(await table(path));
  file.download = "history.csv";
  file.click();
  URL.revokeObjectURL(file.href);
}

/** What a button of a row does: the request that it names, in full, and then the page anew. */
async function act(button) {
  const { method, path, done, shows, links, adds, empties, saves, locks } = button.dataset;
  const key = document.getElementById(button.dataset.key);
  if (key && !key.value) {
    say("bad", "A key is needed", "Paste it into the field first.");
    key.focus();
    return;
  }
  const reason = document.getElementById(button.dataset.reason);
  if (reason && !reason.value.trim()) {
    say("bad", "A reason is needed", "Say why in a few words; it is recorded for good.");
    reason.focus();
    return;
  }
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  hush();
  try {
    const answer = saves ? await save(saves) : links ? await link(decodeURIComponent(links))
      : adds ? await grant(path, JSON.parse(adds)) : await askConfirmed(method, path, empties ? { [empties]: [] } : key ? { api_key: key.value } : locks ? { target: { kind: "agent", id: decodeURIComponent(locks) }, reason: reason.value.trim() } : {});
    if (reason) reason.value = "";
    if (key) key.value = "";
    say("good", done, shows ? answer[shows] : "");
    await refresh().catch(() => {});
  } catch (error) {
    const { title, message } = explain(error, "confirm");
    say("bad", title, message);
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
    document.getElementById("message").focus();
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button.act");
  if (button && !button.disabled) act(button);
});

// Enter in a field does what the button beside it does.
document.addEventListener("submit", (event) => {
  event.preventDefault();
  event.target.querySelector("button.act")?.click();
});

let letterUntil = -Infinity;

/** Marks the row after or before the marked one, as the rows stand now; one that opens nothing by its button. */
function step(by) {
  const rows = [...document.querySelectorAll("#lists a.open, #lists li.card:not(:has(a.open)) button.act")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const first = by > 0 ? 0 : rows.length - 1;
  const next = at < 0 ? first : Math.min(Math.max(at + by, 0), rows.length - 1);
  rows[next].focus();
  rows[next].closest("li, tr")?.scrollIntoView({ block: "nearest" });
  hush();
}

/** Opens the request that is marked, or else the one under the pointer, as it stands now, where its page decides
 *  with a passkey. */
function decide(button) {
  const row = document.activeElement?.closest?.(".request-row") ?? document.querySelector(".request-row:hover");
  const link = row?.querySelector("a.open");
  if (!link || !row.hasAttribute("data-open") || refusesAfterMove()) return;
  location.assign(`${link.href}#${button}`);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  const view = performance.now() < letterUntil && /^[a-z]$/.test(event.key)
    ? document.querySelector(`nav.views a[data-key="${event.key}"]`) : null;
  letterUntil = -Infinity;
  if (view) {
    event.preventDefault();
    location.assign(view.href);
    return;
  }
  // Enter is the marked link's own.
  if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "a" || event.key === "d") decide(event.key === "a" ? "approve" : "deny");
  else if (event.key === "g") letterUntil = performance.now() + LETTER;
});

local();
copyDigests();
