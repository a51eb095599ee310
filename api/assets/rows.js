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
