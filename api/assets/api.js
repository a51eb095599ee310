// What pages ask of the API in the name of who is logged in.

import { Refused, assertion, explain, say } from "./ceremony.js";

/** The way to the service's root from the page, which says so where it is not there. */
const root = document.getElementById("content").dataset.root ?? "";

/** Asks the API with the cookie; gives the answer's JSON, `null` where it has none. */
export async function ask(method, path, body) {
  let response;
  try {
    response = await fetch(`${root}v1/${path}`, {
      method,
      headers: { accept: "application/json", ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
    });
  } catch {
    throw new Refused("The service was not reached", "Check your connection, then try again.");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  throw refusal(response, answer ?? {});
}

/** A whole list as one table of text, page after page. */
export async function table(path) {
  const parts = [];
  let next = `${root}v1/${path}`;
  while (next) {
    let response;
    try {
      response = await fetch(next, { headers: { accept: "text/csv" }, cache: "no-store", credentials: "same-origin", redirect: "error" });
    } catch {
      throw new Refused("The service was not reached", "Nothing was saved. Check your connection, then try again.");
    }
    if (!response.ok) throw refusal(response, (await response.json().catch(() => null)) ?? {});
    const text = await response.text();
    // Each page begins with the names of its columns.
    parts.push(parts.length ? text.slice(text.indexOf("\n") + 1) : text);
    const more = /<([^>]*)>; rel="next"/.exec(response.headers.get("link") ?? "");
    next = more && new URL(more[1], response.url).href;
  }
  return new Blob(parts, { type: "text/csv" });
}

function refusal(response, { code, detail }) {
  const said = typeof detail === "string" ? detail : "";
  const refused = (title, text) => Object.assign(new Refused(title, text), { code, status: response.status });
  switch (code) {
    case "login_failed":
      return refused("That was not right", "The name, the password or the passkey is wrong, or this user may not log in. After several tries the right password is refused too, for a while; a passkey is not.");
    case "assertion_invalid":
      return refused("The passkey's answer was not valid", "Try again.");
    case "challenge_expired":
    case "challenge_used":
      return refused("The passkey's answer came too late", "Try again.");
    case "credential_not_eligible":
      return refused("That passkey is not one of yours", "Use one of those that are listed here.");
    case "password_wrong":
      return refused("The current password is wrong", "Nothing was changed.");
    case "rate_limited": {
      const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
      return refused("Too many tries", `Wait ${seconds > 0 ? wait(seconds) : "a moment"}, then try again.${response.url.endsWith("/auth/login") ? " A passkey works at once." : ""}`);
    }
    default:
      return response.status >= 500
        ? refused("The service could not answer", "Try again in a moment.")
        : refused("This was refused", said || "Reload this page and try again.");
  }
}

const wait = (seconds) => (seconds < 120 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`);

/** Asks as `ask` does; where a fresh passkey is needed, asks for it first. */
export const askConfirmed = (method, path, body) => confirmed(() => ask(method, path, body));

/** Makes a principal one's own by one of its passkeys. */
export const link = (principal) => confirmed(() => ceremony("me/approvers", { principal }));

async function confirmed(act) {
  try {
    return await act();
  } catch (error) {
    if (error.code !== "step_up_required") throw error;
  }
  say("", "Confirm with your passkey", "What you asked for needs it.");
  await ceremony("auth/step-up", {});
  return act();
}

export async function ceremony(path, words) {
  const options = await ask("POST", `${path}/options`, words);
  let signed;
  try {
    signed = await assertion(options);
  } catch (error) {
    throw explain(error, path === "auth/step-up" ? "confirm" : "log in");
  }
  return ask("POST", `${path}/verify`, signed);
}
