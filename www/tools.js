// A tool call on the screen: what was asked, what it prints, what came of it, and the question whether it may.

import { explain } from "./api.js";
import { make } from "./transcript.js";

const STATES = {
  PENDING: "waiting",
  APPROVAL_REQUIRED: "may it?",
  APPROVED: "allowed",
  EXECUTING: "running",
  COMPLETED: "done",
  FAILED: "failed",
  DENIED: "denied",
  SEALED: "stopped",
};
const SHOWN = 20000; // characters of an output

export class ToolCall {
  role = "tool";
  #title = make("span", "tool-name");
  #state = make("span", "tool-state");
  #input = make("pre", "tool-input");
  #output = make("pre", "tool-output");
  #question = null;
  #about = "May the agent do this? ";
  #decide;

  /** decide(id, decision): answers the question; a promise. */
  constructor(id, decide) {
    this.id = id;
    this.#decide = decide;
    this.element = make("li", "message tool");
    this.element.dataset.role = "tool";
    const details = make("details", "tool-call");
    const summary = make("summary");
    summary.append(this.#title, " ", this.#state);
    this.body = make("div", "body");
    this.body.append(this.#input, this.#output);
    details.append(summary, this.body);
    this.element.append(details);
  }

  /** call: id, name, state, input or inputPreview, and result when there is one. */
  update(call) {
    if (call.name) this.#title.textContent = call.name;
    if (call.kind === "budget") this.#about = `${call.reason}. May this turn spend more? `;
    const input = call.input === undefined ? call.inputPreview : JSON.stringify(call.input, null, 2);
    if (input) this.#input.textContent = input;
    if (call.result !== undefined) this.#show(call.result);
    if (call.state) this.#setState(call.state);
  }

  /** Some of what it prints while it runs. */
  print(text) {
    this.#output.textContent = (this.#output.textContent + text).slice(-SHOWN);
  }

  #show(result) {
    const value = result?.ok === false ? result.error : result?.data ?? result;
    const output = typeof value?.output === "string" ? value.output : typeof value === "string" ? value : JSON.stringify(value, null, 2);
    this.#output.textContent = (output ?? "").slice(0, SHOWN);
  }

  #setState(state) {
    this.element.dataset.state = state.toLowerCase();
    this.#state.textContent = STATES[state] ?? state;
    if (state === "APPROVAL_REQUIRED") this.#ask();
    else this.#askNoMore();
  }

  #ask() {
    if (this.#question) return;
    this.#question = make("p", "tool-question", this.#about);
    for (const [label, decision] of [["Allow", "allow"], ["Deny", "deny"]]) {
      const button = make("button", "plain", label);
      button.type = "button";
      button.dataset.decision = decision;
      button.addEventListener("click", () => this.#answer(decision));
      this.#question.append(button, " ");
    }
    this.element.querySelector("details").open = true;
    this.element.append(this.#question);
  }

  #askNoMore() {
    this.#question?.remove();
    this.#question = null;
  }

  async #answer(decision) {
    const buttons = [...(this.#question?.querySelectorAll("button") ?? [])];
    for (const button of buttons) button.disabled = true;
    try {
      await this.#decide(this.id, decision);
      this.#askNoMore();
    } catch (error) {
      const forbidden = error.status === 403;
      for (const button of buttons) forbidden ? button.remove() : (button.disabled = false);
      this.#question?.append(make("span", "note", forbidden ? "This is for somebody with another role to answer." : ` Not answered. ${explain(error)}`));
    }
  }
}
