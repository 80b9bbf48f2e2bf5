// The conversation on the screen: messages, the scroll position, and what a screen reader is told.

import { TextFlow } from "./text.js";

const NEAR = 48; // pixels from the end that still count as the end
const ANNOUNCED = 5;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

export class Message {
  constructor(role, who, time) {
    this.role = role;
    this.element = make("li", "message");
    this.element.dataset.role = role;
    const head = make("h3", "who", who);
    if (time) head.append(" ", timeElement(time));
    this.body = make("div", "body");
    this.flow = new TextFlow(this.body);
    this.element.append(head, this.body);
  }

  set state(state) {
    this.element.dataset.state = state;
  }

  get state() {
    return this.element.dataset.state;
  }

  text(chunk) {
    this.flow.append(chunk);
  }

  think(chunk) {
    this.thoughts ??= this.#openThoughts();
    this.thoughts.append(chunk);
  }

  reset() {
    this.flow.reset();
    this.thoughts?.reset();
  }

  finish() {
    this.flow.finish();
    this.thoughts?.finish();
    if (this.state === "streaming") this.state = "done";
  }

  /** One line below the text; an empty text takes it away. button: {label, run} */
  note(text, button) {
    this.#note?.remove();
    this.#note = null;
    if (!text) return;
    this.#note = make("p", "note", text);
    if (button) this.#note.append(" ", actionButton(button));
    this.body.after(this.#note);
  }

  usage(text) {
    this.#usage ??= this.element.appendChild(make("p", "usage"));
    this.#usage.textContent = text;
  }

  #note = null;
  #usage = null;

  #openThoughts() {
    const details = make("details", "thoughts");
    const inner = make("div", "body");
    details.append(make("summary", "", "Thinking"), inner);
    this.body.before(details);
    return new TextFlow(inner);
  }
}

export class Transcript {
  #ui;
  #stuck = true;
  #top = 0; // where the view stood last
  #frame = 0;

  /** ui: elements scroller, messages, activity, activityText, jump, announcer */
  constructor(ui, signal) {
    this.#ui = ui;
    ui.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true, signal });
    ui.jump.addEventListener("click", () => this.toEnd(), { signal });
    addEventListener("resize", () => this.changed(), { signal });
    signal.addEventListener("abort", () => cancelAnimationFrame(this.#frame));
    this.clear();
  }

  clear() {
    this.#ui.messages.replaceChildren();
    this.#ui.announcer.replaceChildren();
    this.activity("");
    this.toEnd();
  }

  /** Puts a message at the end, or after another one. */
  add(message, after) {
    if (after?.element.isConnected) after.element.after(message.element);
    else this.#ui.messages.append(message.element);
    this.changed();
  }

  activity(text) {
    this.#ui.activity.hidden = !text;
    this.#ui.activityText.textContent = text;
    this.changed();
  }

  announce(text) {
    const { announcer } = this.#ui;
    announcer.append(make("p", "", text));
    while (announcer.childElementCount > ANNOUNCED) announcer.firstChild.remove();
  }

  toEnd() {
    this.#stuck = true;
    this.changed();
  }

  /** Something grew: keep the end in view if it was, once per frame. */
  changed() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      const { scroller, jump } = this.#ui;
      if (this.#stuck) scroller.scrollTop = scroller.scrollHeight;
      jump.hidden = this.#stuck;
    });
  }

  #scrolled() {
    const { scroller, jump } = this.#ui;
    const top = scroller.scrollTop;
    const below = scroller.scrollHeight - top - scroller.clientHeight;
    this.#stuck = top < this.#top ? below < 4 : this.#stuck || below < NEAR; // growth alone never moves the top
    this.#top = top;
    jump.hidden = this.#stuck;
  }
}

export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function timeElement(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "";
  const element = make("time", "", clock.format(date));
  element.dateTime = date.toISOString();
  return element;
}

function actionButton({ label, run }) {
  const button = make("button", "plain", label);
  button.type = "button";
  button.addEventListener("click", run);
  return button;
}
