// Server-Sent Events: a parser for a byte stream cut anywhere, and event ids.

const LINE_END = /\r\n?|\n/g;

export class SseParser {
  #decoder = new TextDecoder(); // takes a leading BOM away, keeps split characters
  #onFrame;
  #line = "";
  #afterCr = false;
  #data = [];
  #id = null;

  /** onFrame({id, data}); id is null for a frame that names none. */
  constructor(onFrame) {
    this.#onFrame = onFrame;
  }

  feed(bytes) {
    const text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return;
    let from = this.#afterCr && text[0] === "\n" ? 1 : 0;
    this.#afterCr = false;
    LINE_END.lastIndex = from;
    for (let end; (end = LINE_END.exec(text)); from = end.index + end[0].length) {
      const line = this.#line + text.slice(from, end.index);
      this.#line = "";
      this.#afterCr = end[0] === "\r" && end.index + 1 === text.length;
      this.#take(line);
      LINE_END.lastIndex = end.index + end[0].length; // a handler may have fed another parser
    }
    this.#line += text.slice(from);
  }

  #take(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return; // comment
    const name = colon < 0 ? line : line.slice(0, colon);
    const skip = line[colon + 1] === " " ? 2 : 1;
    const value = colon < 0 ? "" : line.slice(colon + skip);
    if (name === "data") this.#data.push(value);
    else if (name === "id" && !value.includes("\0")) this.#id = value;
  }

  #dispatch() {
    const frame = { id: this.#id, data: this.#data.join("\n") };
    const any = this.#data.length > 0;
    this.#data = [];
    this.#id = null;
    if (any) this.#onFrame(frame);
  }
}

/** "EPOCH-SEQ" to two big integers, or null. */
export function parseId(id) {
  const m = /^(\d{1,20})-(\d{1,20})$/.exec(id ?? "");
  return m && [BigInt(m[1]), BigInt(m[2])];
}

/** Is event id `a` later than `b`? An unreadable `b` is before everything. */
export function isAfter(a, b) {
  const x = parseId(a);
  const y = parseId(b);
  if (!x) return false;
  if (!y) return true;
  return x[0] !== y[0] ? x[0] > y[0] : x[1] > y[1];
}

/** A cursor just before the first event of the id's epoch. */
export function epochStart(id) {
  const epoch = parseId(id)?.[0] ?? 0n;
  return epoch > 0n ? `${epoch - 1n}-${Number.MAX_SAFE_INTEGER}` : "0-0";
}
