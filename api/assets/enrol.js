// The enrolment page: makes one passkey and registers it.

import { able, countDown, explain, fromBase64url, hush, ready, say, send, toBase64url, unable } from "./ceremony.js";

const register = document.getElementById("register");
const controls = document.getElementById("controls");
let running = false;
let closed = false;

function close() {
  closed = true;
  register.disabled = true;
}

// The page of the first admin asks for a name, and its link has no end of its own.
const username = document.getElementById("username");
const stopClock = username ? () => {} : countDown(() => {
  if (closed || running) return;
  close();
  say("bad", "This link has expired", "Ask an administrator for a new one.", { reload: true });
});

// PublicKeyCredentialCreationOptionsJSON (WebAuthn Level 3, section 5.1.8) to what create() takes.
function parse(options) {
  const binary = (descriptor) => ({ ...descriptor, id: fromBase64url(descriptor.id) });
  return {
    ...options,
    challenge: fromBase64url(options.challenge),
    user: { ...options.user, id: fromBase64url(options.user.id) },
    excludeCredentials: (options.excludeCredentials ?? []).map(binary),
  };
}

async function ceremony() {
  const publicKey = parse(await send("options", username ? { username: username.value.trim() } : {}));
  const { rawId, response } = await navigator.credentials.create({ publicKey });
  return send("verify", {
    credential_id: toBase64url(rawId),
    client_data_json: toBase64url(response.clientDataJSON),
    attestation_object: toBase64url(response.attestationObject),
  });
}

function use({ may_decide }, isUser) {
  if (isUser) return may_decide ? "From now on you log in and decide with it." : "From now on you log in with it.";
  return may_decide ? "From now on you can decide with it." : "This approver may not decide as the service is configured.";
}

async function start() {
  if (running || closed) return;
  running = true;
  register.disabled = true;
  register.setAttribute("aria-busy", "true");
  const label = register.textContent;
  register.textContent = "Waiting for your passkey…";
  hush();
  try {
    const made = await ceremony();
    close();
    stopClock();
    const clock = document.getElementById("clock");
    if (clock) clock.hidden = true;
    controls.hidden = true;
    const goOn = document.getElementById("go-on");
    if (goOn) goOn.hidden = false;
    // What it says of the service held until now.
    const intro = document.getElementById("intro");
    if (intro) intro.hidden = true;
    say("good", "Your passkey is registered", `${use(made, goOn)} Its thumbprint is ${made.public_key_thumbprint}: keep it, an auditor may ask you for it. You can close this page.`);
  } catch (error) {
    const refused = explain(error, "register");
    if (refused.reload || refused.final) close();
    say("bad", refused.title, refused.message, { reload: refused.reload });
  } finally {
    running = false;
    register.removeAttribute("aria-busy");
    register.textContent = label;
    register.disabled = closed;
    document.getElementById("message").focus();
  }
}

ready();
if (able()) {
  register.disabled = false;
  register.addEventListener("click", start);
  // Enter in the field of the name.
  controls.addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
} else {
  close();
  const refused = unable();
  say("bad", refused.title, refused.message);
}
