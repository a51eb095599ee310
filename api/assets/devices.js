// This browser as a device that is told of questions: its subscription, and whether the service knows it.

import { ask } from "./api.js";
import { Refused } from "./ceremony.js";

/** Served under a path that stays, so that an upgrade replaces the worker and not the subscription. */
const WORKER = new URL("../push/push-worker.js", import.meta.url).href;
const SCOPE = new URL("./", WORKER).href;

/** The policy of the page allows this one worker and no other text as a script. */
const policy = window.trustedTypes?.createPolicy("push-worker", {
  createScriptURL(url) {
    if (url === WORKER) return url;
    throw new TypeError("no other worker is registered");
  },
});

export const able = () => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

/** The subscription that this browser has, if any. */
export async function mine() {
  if (!able()) return null;
  const registration = await navigator.serviceWorker.getRegistration(SCOPE);
  return (await registration?.pushManager.getSubscription()) ?? null;
}

/** What the service knows a subscription by. */
export async function digest({ endpoint }) {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(endpoint));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether messages that are signed by this key reach the subscription. */
export function isUnder({ options }, key) {
  const own = options?.applicationServerKey;
  // A browser that does not say it is taken at its word.
  if (!own) return true;
  const text = btoa(String.fromCharCode(...new Uint8Array(own)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "") === key;
}

/** Has this browser told from here on, by a subscription under the service's key. What it was known by before is
 * taken away by `forget`, once the person has allowed notifications. */
export async function tell(key, forget) {
  const answer = await Notification.requestPermission();
  if (answer === "denied") {
    throw new Refused("This browser blocks notifications", "Allow them for this page in the browser's settings, then try again.");
  }
  if (answer !== "granted") throw new Refused("Nothing was changed", "Notifications were not allowed.");
  const registration = await registered();
  // One that is left here is of another key, of somebody else, or was removed: its address is told no more.
  await (await registration.pushManager.getSubscription())?.unsubscribe();
  await forget();
  const subscription = await subscribed(registration, key);
  const { endpoint, keys } = subscription.toJSON();
  try {
    await ask("POST", "me/devices", { endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth } });
  } catch (error) {
    await subscription.unsubscribe();
    throw error;
  }
}

async function subscribed(registration, key) {
  try {
    return await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  } catch {
    throw new Refused("This browser has no push service", "It did not subscribe to notifications. Try again, or use another browser.");
  }
}

async function registered() {
  const url = policy ? policy.createScriptURL(WORKER) : WORKER;
  const registration = await navigator.serviceWorker.register(url, { scope: SCOPE });
  const worker = registration.active ?? registration.waiting ?? registration.installing;
  if (worker.state !== "activated") await activated(worker);
  return registration;
}

const activated = (worker) => new Promise((resolve, reject) => {
  worker.addEventListener("statechange", () => {
    if (worker.state === "activated") resolve();
    if (worker.state === "redundant") reject(new Refused("Nothing was changed", "Reload the page, then try again."));
  });
});
