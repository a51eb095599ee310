// The approval page: approve or deny, each confirmed with a passkey.

import { Refused, able, countDown, explain, fromBase64url, hush, say, send, toBase64url, unable } from "./ceremony.js";

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

async function ceremony(decision) {
  const words = { decision };
  const text = reason.value.trim();
  if (text) words.reason = text;

  const options = await send("options", words);
  if (!options.allow_credentials?.length) {
    throw new Refused("Nobody can decide this yet", "None of the approvers has registered a passkey. An administrator has to invite one.");
  }
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
    ...words,
    credential_id: toBase64url(credential.rawId),
    client_data_json: toBase64url(clientDataJSON),
    authenticator_data: toBase64url(authenticatorData),
    signature: toBase64url(signature),
  };
  if (userHandle?.byteLength) body.user_handle = toBase64url(userHandle);
  return send("verify", body);
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
