// The approval page: approve or deny, each confirmed with a passkey.

import { Refused, able, assertion, countDown, explain, follow, hush, local, paper, ready, say, send, unable, unsigned } from "./ceremony.js";
import { copyDigests } from "./copy.js";

const approve = document.getElementById("approve");
const deny = document.getElementById("deny");
const note = document.getElementById("note");
const reason = document.getElementById("reason");
const controls = document.getElementById("controls");
const keepFor = document.getElementById("keep-for");
const breakGlass = document.getElementById("break-glass");
const blockFor = document.getElementById("block-for");
let askedForReason = false;
// What a kept decision means, as it was shown last: it is signed only when its maker has read it.
let shownMeaning = "";
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

countDown(() => {
  if (closed || running) return;
  close();
  say("bad", "This request has expired", "Nothing was sent. If it is still wanted, the agent has to ask again.", { reload: true });
});

// How often an open page asks whether it still shows how things stand: often while something is about to
// change (upstream is being read, or the time is up), and seldom after that.
const SOON = 2000;
const LATER = 10000;
const content = document.getElementById("content");

function heed(now) {
  // A ceremony that runs tells its own end.
  if (running) return false;
  if (now.state !== "pending") {
    become();
    return true;
  }
  if (now.upstream_read && content.dataset.upstream === "unread") offerUpstream();
  if (!closed && "answers" in content.dataset && String(now.progress) !== content.dataset.answers) {
    content.dataset.answers = now.progress;
    say("", "Somebody else has answered", "Another person has approved this, or has taken an approval back.", { reload: true });
  }
  return false;
}

/** The same link shows what came of it, in this tab and in every other one. */
function become() {
  stopFollowing();
  close();
  location.reload();
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

/** What is to be kept, or nothing: where nothing is chosen a decision is for this request alone. */
function retention() {
  const duration = keepFor?.value;
  if (!duration) return {};
  const breadth = document.querySelector("input[name=breadth]:checked").value;
  return { retention: { mode: "cache", duration, breadth } };
}

/** The block of the agent that a denial sets, or nothing. */
function block(decision) {
  const duration = blockFor?.value;
  if (!duration || decision === "approve") return {};
  return { block: duration === "ever" ? { kind: "agent" } : { kind: "agent", duration } };
}

/** What came of the decision, signed; `false` where its meaning was shown instead, to be confirmed. */
async function ceremony(decision) {
  const words = { decision };
  const screen = onScreen();
  const text = reason.value.trim();
  if (text) words.reason = text;

  const kept = { ...retention(), ...block(decision) };
  // A denial needs no emergency.
  const emergency = decision === "approve" && breakGlass?.checked ? { break_glass: true } : {};
  const isMore = Boolean(kept.retention || kept.block || emergency.break_glass);
  const options = await send("options", { ...words, ...kept, ...emergency });
  if (!options.allow_credentials?.length) {
    throw new Refused("Nobody can decide this yet", "None of the approvers has registered a passkey. An administrator has to invite one.");
  }
  // Nobody signs a state that this page has not shown.
  const { boundTo } = content.dataset;
  if (decision === "approve" && boundTo !== undefined && JSON.parse(options.statement).pre_state_digest !== boundTo) {
    throw new Refused("There is more to see", "What is there upstream now has been read since this page was loaded, and your approval is bound to it.", { reload: true });
  }
  if (isMore && shownMeaning !== options.means) {
    shownMeaning = options.means;
    say("", "This is what you sign", `${options.means} Press the button again to sign it.`);
    return false;
  }
  words.statement = options.statement;
  const asked = performance.now();
  let signed;
  try {
    signed = await assertion(options);
  } catch (error) {
    throw error?.name === "NotAllowedError" ? unsigned(performance.now() - asked, options.timeout) : error;
  }
  return send("verify", { ...words, ...signed, on_screen: screen });
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
    const decided = await ceremony(decision);
    if (decided.status === "voted") {
      close();
      say("", "You have approved this", `${decided.waits.text}. Nothing is carried out before that.`, { reload: true });
    } else if (decided) {
      become();
      return;
    }
  } catch (error) {
    const refused = explain(error, "decide");
    if (refused.over) {
      become();
      return;
    }
    if (refused.reload || refused.final) close();
    say("bad", refused.title, refused.message, { reload: refused.reload });
  } finally {
    running = false;
    button.removeAttribute("aria-busy");
    button.textContent = label;
    enable();
    if (!document.getElementById("message").hidden) document.getElementById("message").focus();
  }
}

// Nobody approves what was never on their screen: a sensitive operation of several is gone to first.
const unseen = new Set(document.querySelectorAll(".operation.sensitive h2"));
const seen = new Set();
const ended = new Set();
const eye = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    const number = Number(target.closest(".operation").dataset.number);
    if (target.matches(".end")) {
      ended.add(number);
    } else {
      unseen.delete(target);
      seen.add(number);
    }
    eye.unobserve(target);
  }
});
for (const operation of document.querySelectorAll(".operation")) {
  eye.observe(operation.querySelector("header"));
  eye.observe(operation.querySelector(".end"));
}
for (const heading of unseen) eye.observe(heading);

/** The operations that were to be seen, folded ones only once they were unfolded, and those seen to their end. */
function onScreen() {
  const rising = (numbers) => [...numbers].sort((one, other) => one - other);
  return { operations: rising(seen), to_the_end: rising([...ended].filter((number) => seen.has(number))) };
}

function goToUnseen() {
  const [first] = unseen;
  unseen.delete(first);
  const left = unseen.size ? `${unseen.size} more after this one.` : "It is the last one.";
  say("", "You have not seen this operation yet", `It is sensitive. ${left} Then press the button again.`);
  first.closest(".operation").scrollIntoView({ block: "start" });
}

ready();
if (able() && document.getElementById("undecidable")) {
  close();
} else if (able()) {
  enable();
  approve.addEventListener("click", () => (unseen.size ? goToUnseen() : decide("approve", approve)));
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
const stopFollowing = follow(heed, () => (content.dataset.upstream === "unread" || closed ? SOON : LATER));
local();
paper();
copyDigests();
// Who comes by a key of the inbox finds the button marked; pressing it is still to be done.
if (["#approve", "#deny"].includes(location.hash)) document.querySelector(location.hash).focus();
