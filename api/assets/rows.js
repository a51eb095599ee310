// Rows of lists, and moments in them.

/** A moment by this device's clock and place; its title keeps what the service said. */
export function time(text, timeStyle = "short") {
  const element = document.createElement("time");
  element.dateTime = element.title = text;
  const told = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  if (timeStyle === "medium") told.second = "2-digit";
  element.textContent = new Intl.DateTimeFormat("en-GB", told).format(new Date(text));
  return element;
}

/** Moments and ids in a sentence of the service. */
const MOMENT_OR_ID = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)|\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b/;
/** As many digits of an id as tell its moment. */
const SHORT_ID = 13;

/** A sentence of the service, with moments by this device's clock, and ids as far as they tell one from another. */
export function sentence(text) {
  const parts = text.split(MOMENT_OR_ID);
  return parts.map((part, index) => {
    if (index % 3 === 0 || part === undefined) return part ?? "";
    if (index % 3 === 1) return time(part, "medium");
    const id = document.createElement("span");
    id.title = part;
    id.textContent = `${part.slice(0, SHORT_ID)}…`;
    return id;
  });
}

/** A line of a list: what leads, what stands below it, and what can be done. */
export function row(lead, rest, button) {
  const item = document.createElement("li");
  const text = document.createElement("div");
  const first = document.createElement("p");
  first.append(...lead);
  const second = document.createElement("p");
  second.className = "quiet";
  second.append(...rest);
  text.append(first, second);
  item.append(text, ...(button ? [button] : []));
  return item;
}
