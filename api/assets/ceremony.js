// What both ceremonies share: the service's answers, base64url, the message line and the countdown.

const path = location.pathname.replace(/\/+$/, "");

/** Called by a page's script once it is ready: the page no longer says that it did not load. */
export function ready() {
  document.getElementById("unready")?.remove();
}

/** A refusal with a text for people; `reload` when the page no longer shows how things stand, and `over`
 * when the same link shows what came of it. */
export class Refused extends Error {
  constructor(title, text, { reload = false, final = false, over = false } = {}) {
    super(text);
    this.title = title;
    this.reload = reload;
    this.final = final;
    this.over = over;
  }
}

/** Sends one step of a ceremony, below the page's own path, and gives the answer's JSON. */
export async function send(step, body) {
  let response;
  try {
    response = await fetch(`${path}/${step}`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch {
    throw new Refused("The service was not reached", "Check your connection, then try again. Reload this page first if you are not sure whether your decision arrived.");
  }
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    // An answer without JSON comes from something in between; the status says enough.
  }
  if (response.ok) return answer;
  throw refusal(response, answer);
}

/** Asks again and again where the question of this page stands, and has it heeded, until `heed` answers that
 * the page goes away; `pause` says how many milliseconds to wait. A tab that nobody sees does not ask, and asks
 * at once when it is seen again. Gives a stop: a page that asked on while it is loaded again would begin that
 * anew, and on a slow connection never end it. */
export function follow(heed, pause = () => 2000) {
  let timer;
  let asking = false;
  let stopped = false;
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", ask);
  };
  async function ask() {
    if (asking || stopped) return;
    clearTimeout(timer);
    if (!document.hidden) {
      asking = true;
      const now = await standing();
      asking = false;
      if (now && !stopped && heed(now)) stop();
    }
    if (!stopped) timer = setTimeout(ask, pause());
  }
  document.addEventListener("visibilitychange", ask);
  timer = setTimeout(ask, 2000);
  return stop;
}

/** Where the question of this page stands now; `null` when nobody can say at the moment. */
async function standing() {
  try {
    const response = await fetch(`${path}/state`, {
      headers: { accept: "application/json" },
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

function refusal(response, problem) {
  const said = typeof problem.detail === "string" ? problem.detail : "";
  switch (response.status) {
    case 400:
      return new Refused("This could not be accepted", said || "The service did not understand the passkey's answer.");
    case 401:
      if (problem.code === "counter_went_back") {
        return new Refused("Stop: this passkey may have been copied", "It counts its uses, and its count went back: a copy of it may be in other hands. Do not try again. Tell an operator now, who has to revoke this passkey; decide with another one.", { final: true });
      }
      return new Refused("The passkey's answer was not valid", said || "Reload this page and try again.");
    case 403:
      return new Refused("This passkey may not decide here", said || "It belongs to somebody else. Use the passkey of one of the approvers named on this page.");
    case 404:
      return new Refused("This link opens nothing any more", "Ask for a new one.", { final: true });
    case 409:
      if (problem.code === "name_taken") {
        return new Refused("That name is taken", "Choose another one.");
      }
      if (problem.code === "admin_exists") {
        return new Refused("There is an admin already", "This link makes nobody an admin any more. Ask an admin for a user of your own.", { final: true });
      }
      if (problem.code === "question_changed") {
        return new Refused("The question has changed", "Nothing was decided. Reload this page and read what is asked now.", { reload: true });
      }
      if (problem.code === "review_owed") {
        return new Refused("A review comes first", said, { final: true });
      }
      if (problem.code === "already_voted") {
        return new Refused("You have answered this already", "Each person counts once. It waits for others now.", { final: true });
      }
      if (problem.code === "locked") {
        return new Refused("A lock stops this", "Nothing was decided. Once the lock is lifted, the agent has to ask again.", { final: true });
      }
      if (problem.code === "policy_changed") {
        return new Refused("The policy has changed", "Nothing was decided. It wants another answer now, and the agent has to ask again.", { reload: true });
      }
      if (problem.code === "allowed") {
        return new Refused("This cannot be blocked", `${said} Nothing was decided.`);
      }
      return new Refused("Somebody was faster", said || "Reload this page to see how things stand.", { reload: true });
    case 410:
      if (problem.code === "enrolment_ended") {
        return new Refused("This link is used up", "It was used already, or it has expired.", { reload: true });
      }
      return new Refused("This is over", "Reload this page to see what happened.", { reload: true, over: true });
    case 429: {
      const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
      return new Refused("Too many tries", `Wait ${seconds > 0 ? `${seconds} seconds` : "a moment"}, then try again.`);
    }
    default: {
      if (problem.code === "pre_state_pending") {
        return new Refused("Not read yet", "Your approval is good for what is there upstream now, which is still being read. Try again in a moment.");
      }
      const id = response.headers.get("x-request-id");
      const named = id ? ` (request ${id})` : "";
      return new Refused("The service could not answer", `Nothing was decided by this try${named}. Try again in a moment.`);
    }
  }
}

const NOT_USED = {
  register: "It was cancelled, took too long, or this device cannot make a passkey with a fingerprint, face or PIN.",
  confirm: "It was cancelled, took too long, or this device holds none of your passkeys. Nothing was changed.",
  "log in": "It was cancelled, took too long, or this device holds none of your passkeys. Give your name first if your passkey is an older one.",
};

// Browsers say the same of all three, so that a page cannot find out what a device holds; how long it took
// tells them apart. Nobody cancels faster than this, in milliseconds.
const AT_ONCE = 700;

/** Why a decision was not signed, by how long the device was asked and how long it might take. */
export function unsigned(took, most) {
  if (took >= most - 1000) {
    return new Refused("Time ran out", "Your passkey was not used in time, and nothing was decided. Press the button again when you are ready.");
  }
  if (took < AT_ONCE) {
    return new Refused("No passkey was used", "This device refused at once: it holds none of the passkeys that may decide this, or it did not recognise you. Open the link on the device that has yours.");
  }
  return new Refused("Cancelled", "Your passkey was not used, and nothing was decided. If your device offered none, yours is on another device: open the link there.");
}

/** Turns what the browser throws during a ceremony into a text for people. */
export function explain(error, action) {
  if (error instanceof Refused) return error;
  switch (error?.name) {
    case "NotAllowedError":
      return new Refused("No passkey was used", NOT_USED[action]);
    case "InvalidStateError":
      return new Refused("Already registered", "This device holds a passkey that is registered here. Use another device, or close this page.");
    case "SecurityError":
      return new Refused("Wrong address", "Passkeys of this service do not work at the address in the address bar. Open the link exactly as it was sent.", { final: true });
    case "NotSupportedError":
      return new Refused("Not supported here", "This device cannot use the kind of passkey that is needed.");
    case "AbortError":
      return new Refused("Interrupted", "Try again.");
    default:
      return new Refused("Something went wrong in this browser", "Reload this page and try again.");
  }
}

/** Whether this browser can do passkeys at all. */
export const able = () => window.isSecureContext && typeof window.PublicKeyCredential === "function" && !!navigator.credentials;

export const unable = () => new Refused("No passkeys in this browser", window.isSecureContext
  ? "Open this link in a current browser."
  : "Passkeys need a secure connection. Open this link over https.", { final: true });

export function toBase64url(buffer) {
  let binary = "";
  for (const byte of new Uint8Array(buffer)) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function fromBase64url(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** Has a passkey answer the service's options; gives what the service verifies. */
export async function assertion(options) {
  const credential = await navigator.credentials.get({
    publicKey: {
      challenge: fromBase64url(options.challenge),
      timeout: options.timeout,
      rpId: options.rp_id,
      userVerification: options.user_verification,
      allowCredentials: options.allow_credentials.map(({ id, kind }) => ({ id: fromBase64url(id), type: kind })),
    },
  });
  const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
  const body = {
    credential_id: toBase64url(credential.rawId),
    client_data_json: toBase64url(clientDataJSON),
    authenticator_data: toBase64url(authenticatorData),
    signature: toBase64url(signature),
  };
  if (userHandle?.byteLength) body.user_handle = toBase64url(userHandle);
  return body;
}

/** Shows one message; a bad one interrupts a screen reader. */
export function say(tone, title, text, { reload = false } = {}) {
  const line = document.getElementById("message");
  const strong = document.createElement("strong");
  strong.textContent = title;
  line.replaceChildren(strong, text);
  if (reload) {
    const link = document.createElement("a");
    link.href = location.pathname;
    link.textContent = "Reload";
    line.append(" ", link);
  }
  line.className = `message ${tone}`;
  line.setAttribute("role", tone === "bad" ? "alert" : "status");
  line.hidden = false;
}

/** Tells each moment by this device's clock and place; the title keeps it in UTC. One that is told by how long ago
 *  it was keeps its words, and its title has both. */
export function local(part = document) {
  const told = new Intl.DateTimeFormat("en-GB", {
    day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
  });
  for (const moment of part.querySelectorAll("time[datetime]:not([data-local])")) {
    const here = told.format(new Date(moment.dateTime));
    moment.dataset.local = "";
    if (moment.title) {
      moment.title = `${here} (${moment.title})`;
      continue;
    }
    moment.title = moment.textContent;
    moment.textContent = here;
  }
}

/** On paper nothing is folded, and the page's own address stands on it. */
export function paper() {
  let unfolded = [];
  window.addEventListener("afterprint", () => {
    for (const part of unfolded) part.open = false;
  });
  window.addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll("details:not([open])")];
    for (const folded of unfolded) folded.open = true;
    const address = document.getElementById("address");
    if (address) address.textContent = location.href;
  });
}

export function hush() {
  document.getElementById("message").hidden = true;
}

/** A time in the units that people count it in: `6 days 23 h`, `23 h 59 min`, `59:59`. */
function spelled(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return `${Math.floor(hours / 24)} days ${hours % 24} h`;
  if (hours >= 1) return `${hours} h ${minutes % 60} min`;
  return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Counts down by the service's clock; calls `over` once when the time is up. Gives a stop. */
export function countDown(over) {
  const { expires, now } = document.getElementById("content").dataset;
  const ahead = Date.now() - Number(now);
  const clock = document.getElementById("clock");
  const left = document.getElementById("left");
  let timer;
  const stop = () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", tick);
  };
  function tick() {
    const seconds = Math.ceil((Number(expires) + ahead - Date.now()) / 1000);
    clock.hidden = false;
    clock.classList.toggle("soon", seconds <= 60 && seconds > 0);
    if (seconds > 0) {
      left.textContent = spelled(seconds);
      return;
    }
    stop();
    clock.classList.add("over");
    clock.textContent = "Time is up";
    over();
  }
  timer = setInterval(tick, 1000);
  // A phone that slept shows the true time at once.
  document.addEventListener("visibilitychange", tick);
  tick();
  return stop;
}
