// The page at /: logs in, and shows the person's own sessions and passkeys.

import { ask, askConfirmed, ceremony } from "./api.js";
import { able, explain, hush, ready, say } from "./ceremony.js";
import * as devices from "./devices.js";
import { row, time } from "./rows.js";

const at = (id) => document.getElementById(id);
const SECTIONS = ["stranger", "me", "sessions", "passkeys", "devices", "change"];
const ROLES = {
  viewer: "Viewer: you can read.",
  operator: "Operator: you can run tasks, and take grants and passkeys away.",
  admin: "Admin: you can manage everything here.",
};
const VIA = { password: "With a password", passkey: "With a passkey", software_key: "With a command-line key" };

let running = false;

/** Lets a press do one thing at a time, and tells how it ended. */
function does(button, act) {
  return async (event) => {
    event?.preventDefault();
    if (running) return;
    running = true;
    button.setAttribute("aria-busy", "true");
    button.disabled = true;
    hush();
    try {
      await act();
    } catch (error) {
      fail(error);
    } finally {
      running = false;
      button.removeAttribute("aria-busy");
      button.disabled = false;
    }
    focus(button);
  };
}

/** Puts the focus where what was done is told: a button that is gone, or was switched off meanwhile, has lost
 * it. */
function focus(button) {
  const title = document.querySelector("section:not([hidden]) h1");
  const places = [at("message"), button, title];
  places.find((place) => place?.checkVisibility())?.focus();
}

function fail(error) {
  const refused = explain(error, "log in");
  // A session that has ended leaves the page of a stranger.
  if (error.code === "session_ended") {
    showStranger();
    say("bad", "You are logged out", "Your session has ended. Log in again.");
  } else {
    say("bad", refused.title, refused.message);
  }
}

function show(...sections) {
  for (const id of SECTIONS) at(id).hidden = !sections.includes(id);
  at("log-out").hidden = sections.includes("stranger");
}

function showStranger() {
  for (const id of ["username", "password", "current", "new"]) at(id).value = "";
  show("stranger");
  document.title = "Log in · Permission Proxy";
}

/** The view that has sent somebody here to log in; a path below this service's, and nothing else. */
function wanted() {
  const path = location.hash.slice(1);
  return /^[a-z]+(\/[\w~%.-]+)*$/.test(path) ? path : null;
}

/** What follows a login. */
async function goOn() {
  const { must_change_password } = await ask("GET", "me");
  if (must_change_password) return showMe();
  location.assign(wanted() ?? "inbox");
}

async function showMe() {
  let me;
  try {
    me = await ask("GET", "me");
  } catch (error) {
    if (error.status !== 401) throw error;
    showStranger();
    return;
  }
  if (wanted() && !me.must_change_password) {
    location.replace(wanted());
    return;
  }
  for (const id of ["password", "current", "new"]) at(id).value = "";
  document.title = `${me.name} · Permission Proxy`;
  at("name").textContent = me.name;
  at("change-username").value = me.name;
  at("role").textContent = ROLES[me.role] ?? me.role ?? "";
  fill("groups", me.groups?.length ? document.createTextNode(me.groups.join(", ")) : null);
  fill("until", me.expires_at && time(me.expires_at));
  fill("confirmed", me.step_up_until && new Date(me.step_up_until) > new Date() && time(me.step_up_until));
  at("must-change").hidden = !me.must_change_password;
  at("none-yet").hidden = me.must_change_password;
  if (me.kind !== "user" || me.scheme !== "session") {
    show("me");
    at("log-out").hidden = true;
    return;
  }
  if (me.must_change_password) {
    show("me", "change");
    return;
  }
  const lists = ["sessions", "passkeys", "devices"].map((list) => ask("GET", `me/${list}`));
  const [{ sessions }, { passkeys }, told] = await Promise.all(lists);
  at("session-rows").replaceChildren(...sessions.map(sessionRow));
  at("passkey-rows").replaceChildren(...passkeys.map(passkeyRow));
  at("no-passkey").hidden = passkeys.length > 0;
  at("others").hidden = sessions.length < 2;
  await showDevices(told);
  const isTold = serverKey || told.devices.length > 0;
  show("me", "sessions", "passkeys", ...(isTold ? ["devices"] : []), "change");
}

/** The key by which browsers subscribe; null where no device is told. */
let serverKey = null;
/** The id of this browser as a device, where it subscribed under an earlier key and so is told of nothing. */
let outdated = null;

async function showDevices({ application_server_key, devices: told }) {
  serverKey = application_server_key;
  const own = await devices.mine().catch(() => null);
  const current = own && (await devices.digest(own));
  at("device-rows").replaceChildren(...told.map((device) => deviceRow(device, current)));
  at("no-device").hidden = told.length > 0;
  const mine = told.find(({ endpoint_sha256 }) => endpoint_sha256 === current);
  outdated = mine && serverKey && !devices.isUnder(own, serverKey) ? mine.device_id : null;
  at("earlier-key").hidden = !outdated;
  at("add-device").textContent = outdated ? "Register this device again" : "Tell this device of new questions";
  at("add-device").hidden = (mine && !outdated) || !serverKey || !devices.able();
  at("cannot-tell").hidden = !serverKey || devices.able();
}

function fill(id, node) {
  at(`${id}-row`).hidden = !node;
  at(id).replaceChildren(...(node ? [node] : []));
}

/** A button that does it at the second press. */
function twice(label, again, about, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "deny small";
  button.textContent = label;
  button.setAttribute("aria-label", `${label}: ${about}`);
  const press = does(button, act);
  let asked = false;
  button.addEventListener("click", () => {
    if (asked) return press();
    asked = true;
    button.textContent = again;
    button.setAttribute("aria-label", `${again}: ${about}`);
  });
  button.addEventListener("blur", () => {
    asked = false;
    button.textContent = label;
    button.setAttribute("aria-label", `${label}: ${about}`);
  });
  return button;
}

function sessionRow({ id, current, via, address, created_at, expires_at }) {
  const where = address ?? "an unknown address";
  const lead = [where, ...(current ? [mark("this one")] : [])];
  const rest = [`${VIA[via] ?? via ?? "Logged in"}, `, time(created_at), " to ", time(expires_at)];
  const end = current ? null : twice("End", "End it now", `the session from ${where}`, async () => {
    await ask("DELETE", `me/sessions/${encodeURIComponent(id)}`);
    await showMe();
    say("good", "The session has ended", `The one from ${where} opens nothing any more.`);
  });
  return row(lead, rest, end);
}

function passkeyRow({ credential_id }) {
  const id = document.createElement("code");
  id.textContent = credential_id;
  const remove = twice("Remove", "Remove it now", `the passkey ${credential_id}`, async () => {
    await askConfirmed("DELETE", `me/passkeys/${encodeURIComponent(credential_id)}`);
    await showMe();
    say("good", "The passkey is removed", "It opens and decides nothing any more. Delete it from your device too.");
  });
  return row([id], [], remove);
}

function deviceRow({ device_id, service, endpoint_sha256, created_at }, current) {
  const isThis = endpoint_sha256 === current;
  const lead = [`By ${service}`, ...(isThis ? [mark("this one")] : [])];
  const remove = twice("Remove", "Remove it now", `the device by ${service}`, async () => {
    await ask("DELETE", `me/devices/${encodeURIComponent(device_id)}`);
    if (isThis) await (await devices.mine())?.unsubscribe();
    await showMe();
    say("good", "The device is removed", "It is told of nothing any more.");
  });
  return row(lead, ["Since ", time(created_at)], remove);
}

function mark(text) {
  const badge = document.createElement("span");
  badge.className = "badge safe";
  badge.textContent = text;
  return badge;
}

function on(id, event, button, act) {
  at(id).addEventListener(event, does(at(button), act));
}

on("login", "submit", "with-password", async () => {
  await ask("POST", "auth/login", { username: at("username").value.trim(), password: at("password").value });
  await goOn();
});
on("with-passkey", "click", "with-passkey", async () => {
  const username = at("username").value.trim();
  await ceremony("auth/passkey", username ? { username } : {});
  await goOn();
});
on("log-out", "click", "log-out", async () => {
  await ask("POST", "auth/logout", {});
  showStranger();
  say("good", "You are logged out", "This session opens nothing any more.");
});
on("log-out-everywhere", "click", "log-out-everywhere", async () => {
  await ask("POST", "auth/logout-everywhere", {});
  await showMe();
  say("good", "You are logged out everywhere else", "Only this session goes on.");
});
on("add-passkey", "click", "add-passkey", async () => {
  const { enrolment_url } = await askConfirmed("POST", "me/enrolment", {});
  location.assign(enrolment_url);
});
on("add-device", "click", "add-device", async () => {
  const replaced = outdated;
  await devices.tell(serverKey, async () => {
    if (replaced) await ask("DELETE", `me/devices/${encodeURIComponent(replaced)}`);
  });
  await showMe();
  say("good", "This device is told of new questions", "Each that you may decide comes as a notification.");
});
on("change-password", "submit", "set-password", async () => {
  const body = { new: at("new").value };
  if (at("current").value) body.current = at("current").value;
  await askConfirmed("POST", "auth/password", body);
  await showMe();
  say("good", "Your password is changed", "Your other sessions have ended.");
});

try {
  await showMe();
} catch (error) {
  showStranger();
  fail(error);
  at("message").focus();
}
ready();
if (!able()) {
  at("with-passkey").disabled = true;
  at("add-passkey").disabled = true;
}
