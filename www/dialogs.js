// The three dialogs. Each resolves when it was submitted with success, or was cancelled.

import { explain } from "./api.js";

/** Opens a dialog; submit(fields) is called on submit, may be async, and its error is shown in the dialog. */
export function ask(dialog, submit) {
  const form = dialog.querySelector("form");
  const error = dialog.querySelector(".error");
  const button = form.querySelector("[type=submit]");
  const closed = new AbortController();
  const { signal } = closed;
  error.textContent = "";
  button.disabled = false;
  form.addEventListener("submit", onSubmit, { signal });
  dialog.querySelector("[data-cancel]").addEventListener("click", () => dialog.close(), { signal });
  dialog.addEventListener("close", () => closed.abort(), { signal });
  dialog.showModal();

  async function onSubmit(event) {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      await submit(Object.fromEntries(new FormData(form)));
      if (!signal.aborted) dialog.close();
    } catch (reason) {
      if (signal.aborted) return;
      error.textContent = explain(reason) + laterText(reason);
      button.disabled = false;
    }
  }
}

export function closeAll() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

export function laterText(error) {
  return error.retryAfter ? ` Try again in ${Math.ceil(error.retryAfter / 1000)} seconds.` : "";
}
