// The approval page: approve or deny, each confirmed with a passkey.

import { Refused, able, assertion, countDown, explain, hush, over, ready, say, send, standing, unable } from "./ceremony.js";

const approve = document.getElementById("approve");
const deny = document.getElementById("deny");
const note = document.getElementById("note");
const reason = document.getElementById("reason");
const controls = document.getElementById("controls");
let askedForReason = false;
let running = false;
let closed = false;

function enable() {
  approve.disabled = deny.disabled = running || closed;
  reason.readOnly = running || closed;
}

function close() {
  closed = true;
  enable();
}

const stopClock = countDown(() => {
  if (closed || running) return;
  close();
  say("bad", "This request has expired", "Nothing was sent. If it is still wanted, the agent has to ask again.", { reload: true });
});

// How often an open page asks whether it still shows how things stand: often while what is there
// upstream is still being read, which takes a moment, and seldom after that.
const SOON = 2000;
const LATER = 10000;
const content = document.getElementById("content");

let timer;
let asking = false;

async function watch() {
  clearTimeout(timer);
  if (closed || asking) return;
  if (!running && !document.hidden) {
    asking = true;
    const now = await standing();
    asking = false;
    // A ceremony that began meanwhile tells its own end, and so does the clock.
    if (now && !running && !closed) heed(now);
  }
  if (!closed) timer = setTimeout(watch, content.dataset.upstream === "unread" ? SOON : LATER);
}

function heed(now) {
  if (now.state !== "pending" && now.state !== "expired") {
    stopClock();
    close();
    const { title, message } = over(now.state);
    say("", title, message, { reload: true });
  } else if (now.upstream_read && content.dataset.upstream === "unread") {
    offerUpstream();
  }
}

// The page does not change under the eyes of whoever reads it; they are told that there is more.
function offerUpstream() {
  delete content.dataset.upstream;
  for (const line of document.querySelectorAll(".unread")) {
    const link = document.createElement("a");
    link.href = location.pathname;
    link.textContent = "Reload this page";
    line.replaceChildren("It has been read now. ", link, " to see what would be replaced.");
  }
  if (document.getElementById("message").hidden) {
    say("", "There is more to see", "What is there upstream now has been read.", { reload: true });
  }
}

async function ceremony(decision) {
  const words = { decision };
  const text = reason.value.trim();
  if (text) words.reason = text;

  const options = await send("options", words);
  if (!options.allow_credentials?.length) {
    throw new Refused("Nobody can decide this yet", "None of the approvers has registered a passkey. An administrator has to invite one.");
  }
  return send("verify", { ...words, ...(await assertion(options)) });
}

async function decide(decision, button) {
  if (running || closed) return;
  running = true;
  enable();
  const label = button.textContent;
  button.setAttribute("aria-busy", "true");
  button.textContent = "Waiting for your passkey…";
  hush();
  try {
    await ceremony(decision);
    close();
    stopClock();
    document.getElementById("clock").hidden = true;
    controls.hidden = true;
    if (decision === "approve") {
      say("good", "Approved", "The agent may carry out exactly these operations, once. You can close this page.");
    } else {
      say("good", "Denied", "Nothing was sent, and the agent is told. You can close this page.");
    }
  } catch (error) {
    const refused = explain(error, "decide");
    if (refused.reload || refused.final) close();
    say("bad", refused.title, refused.message, { reload: refused.reload });
  } finally {
    running = false;
    button.removeAttribute("aria-busy");
    button.textContent = label;
    enable();
    document.getElementById("message").focus();
  }
}

ready();
if (able()) {
  enable();
  approve.addEventListener("click", () => decide("approve", approve));
  deny.addEventListener("click", () => {
    // The first press offers the reason; a denial without one is possible, but never by haste.
    if (!reason.value.trim() && !askedForReason) {
      askedForReason = true;
      note.open = true;
      say("", "Why not?", "A few words help the agent do better. Press Deny again to go on.");
      reason.focus();
      return;
    }
    decide("deny", deny);
  });
} else {
  close();
  const refused = unable();
  say("bad", refused.title, refused.message);
}
timer = setTimeout(watch, SOON);
// A tab that comes back shows at once what happened meanwhile.
document.addEventListener("visibilitychange", watch);
