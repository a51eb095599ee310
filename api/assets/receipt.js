// What came of an approval: the page follows it until nothing more can come.

import { follow, local, paper } from "./ceremony.js";

const content = document.getElementById("content");
const [loaded] = performance.getEntriesByType("navigation");

local();
paper();
// A page that became this one tells so to whoever cannot see that it did.
if (loaded?.type === "reload") document.querySelector("h1").focus({ preventScroll: true });
if ("open" in content.dataset) {
  document.getElementById("live").textContent = "This page follows along: it shows what comes of it by itself.";
  follow((now) => {
    const { became, progress } = content.dataset;
    const isOther = now.became !== became || String(now.progress) !== progress;
    if (isOther) location.reload();
    return isOther;
  }, () => (performance.now() < 60000 ? 2000 : 10000));
}
