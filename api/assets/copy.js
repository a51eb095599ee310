// A digest that is shown can be copied. Where the browser refuses the clipboard, the digest is marked instead,
// so that the person copies it by hand.

/** Adds a button that copies the digest which this element shows. `data-copy` has it where the text is another. */
export function copyable(code) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain copy";
  const hidden = document.createElement("span");
  hidden.className = "unseen";
  hidden.textContent = ` ${code.dataset.of ?? "this SHA-256"}`;
  const tell = (text) => button.replaceChildren(text, hidden);
  tell("Copy");
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.dataset.copy ?? code.textContent);
      tell("Copied");
    } catch {
      getSelection().selectAllChildren(code);
      tell("Marked: copy it with your keyboard or menu");
    }
  });
  code.after(" ", button);
}

/** Does so for every digest of the page. */
export function copyDigests() {
  for (const code of document.querySelectorAll("code.digest")) {
    if (!code.nextElementSibling?.matches(".copy")) copyable(code);
  }
}
