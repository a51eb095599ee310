// What both ceremonies share: the service's answers, base64url, the message line and the countdown.

const path = location.pathname.replace(/\/+$/, "");

/** Called by a page's script once it is ready: the page no longer says that it did not load. */
export function ready() {
  document.getElementById("unready")?.remove();
}

/** A refusal with a text for people; `reload` when the page no longer shows how things stand. */
export class Refused extends Error {
  constructor(title, text, { reload = false, final = false } = {}) {
    super(text);
    this.title = title;
    this.reload = reload;
    this.final = final;
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

/** Where the question of this page stands now; `null` when nobody can say at the moment. */
export async function standing() {
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

// What the service says with these codes is meant for agents.
const ENDED = {
  approval_expired: ["This request has expired", "Nothing was sent. If it is still wanted, the agent has to ask again."],
  approval_decided: ["Somebody decided before you", "Your answer was not needed any more."],
  approval_cancelled: ["This request was cancelled", "Its task was closed. Nothing was sent."],
  enrolment_ended: ["This link is used up", "It was used already, or it has expired."],
};

/** What became of a question, as a refusal to decide it. */
export function over(state) {
  const code = { expired: "approval_expired", cancelled: "approval_cancelled" }[state] ?? "approval_decided";
  return new Refused(...ENDED[code], { reload: true });
}

function refusal(response, problem) {
  const said = typeof problem.detail === "string" ? problem.detail : "";
  switch (response.status) {
    case 400:
      return new Refused("This could not be accepted", said || "The service did not understand the passkey's answer.");
    case 401:
      return new Refused("The passkey's answer was not valid", said || "Reload this page and try again.");
    case 403:
      return new Refused("This passkey may not decide here", said || "It belongs to somebody else. Use the passkey of one of the approvers named on this page.");
    case 404:
      return new Refused("This link opens nothing any more", "Ask for a new one.", { final: true });
    case 409:
      return new Refused("Somebody was faster", said || "Reload this page to see how things stand.", { reload: true });
    case 410:
      return new Refused(...(ENDED[problem.code] ?? ["This is over", "Reload this page to see what happened."]), { reload: true });
    case 429: {
      const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
      return new Refused("Too many tries", `Wait ${seconds > 0 ? `${seconds} seconds` : "a moment"}, then try again.`);
    }
    default: {
      const id = response.headers.get("x-request-id");
      const named = id ? ` (request ${id})` : "";
      return new Refused("The service could not answer", `Nothing was decided by this try${named}. Try again in a moment.`);
    }
  }
}

const NOT_USED = {
  register: "It was cancelled, took too long, or this device cannot make a passkey with a fingerprint, face or PIN.",
  decide: "It was cancelled, took too long, or this device holds none of the passkeys that may decide this.",
  "log in": "It was cancelled, took too long, or this device holds none of your passkeys. Give your name first if your passkey is an older one.",
};

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

export function hush() {
  document.getElementById("message").hidden = true;
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
      left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
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
