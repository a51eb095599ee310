// The page at /watch: shows one task as it goes on. The token that reads it comes in the fragment, which
// no server sees, and leaves the address bar at once.

import { hush, ready, say } from "./ceremony.js";
import { row, sentence, time } from "./rows.js";

const at = (id) => document.getElementById(id);
/** The wait before the stream is taken up again, at first and at most. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30000;

class Over extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

const token = takeToken();
const claims = token && readClaims(token);
let lastSeen = null;

/** The token of the fragment; after a reload, the one that this entry of the history kept. */
function takeToken() {
  const fresh = location.hash.slice(1);
  if (fresh) history.replaceState({ token: fresh }, "", location.pathname + location.search);
  return fresh || history.state?.token || "";
}

function readClaims(text) {
  try {
    const payload = text.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(atob(payload));
  } catch {
    return null;
  }
}

function request(path, headers = {}, signal = undefined) {
  return fetch(`v1/${path}`, {
    headers: { accept: "application/json", authorization: `Bearer ${token}`, ...headers },
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    signal,
  });
}

/** The answer's JSON; `null` where there is no such thing. */
async function read(path) {
  const response = await request(path);
  if (response.ok) return response.json();
  if (response.status === 404) return null;
  const { code } = await response.json().catch(() => ({}));
  if ([401, 403, 410].includes(response.status)) throw new Over(code);
  throw new Error(code ?? "unavailable");
}

async function refresh() {
  const id = encodeURIComponent(claims.task_id);
  // First, so that the rest is no older than the size that the stream begins at.
  const timeline = await read(`timeline?topic=task:${id}`);
  const [task, approval, applies] = await Promise.all([
    read(`tasks/${id}`),
    read(`tasks/${id}/approval-status`),
    read(`tasks/${id}/applies?acts=true`),
  ]);
  if (!task) throw new Over("task_not_found");
  document.title = `${task.task_name} · Permission Proxy`;
  at("name").textContent = task.task_name;
  at("status").textContent = words(task.status);
  at("task-id").textContent = task.task_id;
  at("updated").replaceChildren(time(task.updated_at, "medium"));
  at("approval-row").hidden = !approval;
  at("approval").textContent = approval ? words(approval.state) : "";
  const rows = applies?.applies ?? [];
  at("apply-rows").replaceChildren(...rows.map(applyRow));
  at("no-apply").hidden = rows.length > 0;
  at("timeline-rows").replaceChildren(...(timeline?.timeline ?? []).map(timelineRow));
  for (const section of ["task", "applies", "timeline"]) at(section).hidden = false;
  return timeline?.as_of;
}

const words = (status) => status.replaceAll("_", " ");

function applyRow({ idempotency_key, status, operations, act, acts, risk, accepted_at }) {
  const item = row([`${act ?? (operations ?? []).join(", ")}: ${words(status)}`], [...(risk ? [`${risk}, `] : []), `key “${idempotency_key}”, `, time(accepted_at, "medium")]);
  if (acts?.length) {
    const each = document.createElement("ul");
    each.className = "steps";
    each.append(...acts.map((one) => Object.assign(document.createElement("li"), { textContent: one })));
    item.querySelector("p").after(each);
  }
  return item;
}

function timelineRow({ at: moment, event, who, summary }) {
  return row(sentence(summary), [`${event}, ${who}, `, time(moment, "medium")]);
}

/** The messages of the stream, as they come (WHATWG HTML, section 9.2.6). */
async function* messages(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    let end;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const message = { event: "message", data: "" };
      for (const line of text.slice(0, end).split("\n")) {
        const colon = line.indexOf(": ");
        if (colon > 0) message[line.slice(0, colon)] = line.slice(colon + 2);
      }
      text = text.slice(end + 2);
      yield message;
    }
  }
}

/** Watches until the stream or the page's visibility ends. */
async function watch(signal) {
  const asOf = await refresh();
  const headers = { accept: "text/event-stream" };
  const response = await request(`stream?after=${lastSeen ?? asOf}`, headers, signal);
  if (!response.ok) {
    const { code } = await response.json().catch(() => ({}));
    if ([401, 403, 410].includes(response.status)) throw new Over(code);
    // What was seen is not of this ledger any more.
    if (response.status === 400) lastSeen = null;
    throw new Error(code ?? "unavailable");
  }
  at("live").textContent = "Live";
  hush();
  for await (const message of messages(response)) {
    if (message.event === "ended") throw new Over(JSON.parse(message.data).code);
    if (message.event === "resync" || (message.data && message.data !== "[]")) await refresh();
    if (message.id) lastSeen = message.id;
  }
}

function isOver({ code }) {
  at("live").textContent = "";
  const why = {
    token_expired: "The link that opened this page was good for five minutes.",
    token_revoked: "The task was closed, or whoever made the link has logged out.",
  };
  say("", "This page shows nothing new any more", `${why[code] ?? "The link opens nothing any more."} Ask for a fresh link to go on.`);
}

const visible = () => new Promise((resolve) => {
  if (!document.hidden) return resolve();
  document.addEventListener("visibilitychange", resolve, { once: true });
});

async function run() {
  let pause = FIRST_PAUSE;
  for (;;) {
    await visible();
    if (document.hidden) continue;
    const leaving = new AbortController();
    const hide = () => document.hidden && leaving.abort();
    document.addEventListener("visibilitychange", hide);
    try {
      await watch(leaving.signal);
      pause = FIRST_PAUSE;
    } catch (error) {
      if (error instanceof Over) return isOver(error);
      if (!leaving.signal.aborted) {
        at("live").textContent = "Not connected";
        pause = Math.min(pause * 2, LONGEST_PAUSE);
      }
    } finally {
      document.removeEventListener("visibilitychange", hide);
      leaving.abort();
    }
    if (!document.hidden) await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

ready();
if (claims?.task_id) {
  await run();
} else {
  say("bad", "This link is not complete", "Open it again from where you got it, or ask for a new one.");
}
