// Text that streams in, as paragraphs and fenced code. Built from text nodes only: nothing is ever parsed as HTML.
// The cost of a chunk depends on the chunk, not on what is already there.

const NODE_LIMIT = 4096; // a text node is copied when it grows, so it must not grow for ever
const FENCE_LIMIT = 120;
const MAYBE_FENCE = /^ {0,3}(`{1,2}$|$|`{3,}[^`]*$)/;
const FENCE = /^ {0,3}(`{3,})\s*([^`\s]*)[^`]*$/;

export class TextFlow {
  #root;
  #block;
  #node;
  #code; // length of the open fence, 0 outside code
  #held; // start of a line that may be a fence
  #lineStart;
  #breaks; // line ends not yet written

  constructor(root) {
    this.#root = root;
    this.reset();
  }

  reset() {
    this.#root.replaceChildren();
    this.#block = this.#node = null;
    this.#code = this.#breaks = 0;
    this.#held = "";
    this.#lineStart = true;
  }

  append(text) {
    for (let from = 0; from < text.length; ) {
      const end = text.indexOf("\n", from);
      this.#line(text.slice(from, end < 0 ? undefined : end));
      if (end < 0) return;
      this.#newline();
      from = end + 1;
    }
  }

  finish() {
    if (this.#code && this.#isFence()) this.#held = "";
    this.#release();
  }

  get text() {
    return Array.from(this.#root.children, (block) => block.textContent).join("\n");
  }

  get empty() {
    return !this.#root.hasChildNodes() && this.#held === "";
  }

  #line(part) {
    if (part === "") return;
    if (!this.#lineStart) return this.#put(part);
    this.#held += part;
    if (this.#held.length > FENCE_LIMIT || !MAYBE_FENCE.test(this.#held)) this.#release();
  }

  #newline() {
    if (this.#isFence()) {
      this.#toggle();
    } else {
      this.#release();
      this.#breaks++;
    }
    this.#lineStart = true;
  }

  #release() {
    if (this.#held === "") return;
    const held = this.#held;
    this.#held = "";
    this.#lineStart = false;
    this.#put(held);
  }

  #isFence() {
    const fence = FENCE.exec(this.#held);
    if (!fence) return false;
    return this.#code ? fence[1].length >= this.#code && !fence[2] : true;
  }

  #toggle() {
    const [, ticks, language] = FENCE.exec(this.#held);
    this.#held = "";
    this.#breaks = 0;
    this.#block = this.#node = null;
    this.#code = this.#code ? 0 : ticks.length;
    if (this.#code) this.#openCode(language);
  }

  #openCode(language) {
    const pre = document.createElement("pre");
    pre.tabIndex = 0;
    pre.setAttribute("role", "group");
    pre.setAttribute("aria-label", language ? `Code, ${language}` : "Code");
    if (language) pre.dataset.language = language;
    this.#block = pre.appendChild(document.createElement("code"));
    this.#root.append(pre);
  }

  #openParagraph() {
    this.#block = this.#root.appendChild(document.createElement("p"));
    this.#node = null;
    this.#breaks = 0;
  }

  #put(text) {
    if (!this.#block || (!this.#code && this.#breaks > 1)) this.#openParagraph();
    const whole = "\n".repeat(this.#breaks) + text;
    this.#breaks = 0;
    if (this.#node && this.#node.length < NODE_LIMIT) this.#node.appendData(whole);
    else this.#node = this.#block.appendChild(document.createTextNode(whole));
  }
}
