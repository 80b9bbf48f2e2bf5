// Follows an event stream for as long as it is wanted: no gap, no double, whatever is cut.

import { SseParser, isAfter } from "./sse.js";
import { backoff, pause } from "./wait.js";

const SILENCE = 40_000; // a heartbeat comes every 15 s
const STEADY = 5_000; // a connection this old starts the back-off anew

/**
 * open(last, signal) resolves with a streaming Response or throws.
 * onEvent(event) gets each event once, in order; a value other than undefined ends following and is returned.
 * onState(state, tries) is told "connected" or "reconnecting".
 * Throws what open() throws if trying again cannot help.
 */
export async function follow({ open, last, signal, onEvent, onState }) {
  const cursor = { last, result: undefined, tries: 0 };
  for (;;) {
    const began = Date.now();
    let wait = null;
    try {
      await readOnce(open, cursor, signal, onEvent, onState);
      if (cursor.result !== undefined) return cursor.result;
    } catch (error) {
      signal.throwIfAborted();
      if (isFinal(error)) throw error;
      wait = error.retryAfter ?? null;
    }
    if (Date.now() - began > STEADY) cursor.tries = 0;
    onState("reconnecting", cursor.tries);
    await pause(wait ?? backoff(cursor.tries++), signal);
  }
}

export function isFinal(error) {
  return error.status >= 400 && error.status < 500 && ![408, 425, 429].includes(error.status);
}

async function readOnce(open, cursor, signal, onEvent, onState) {
  const cut = new AbortController();
  let dog;
  const alive = () => {
    clearTimeout(dog);
    dog = setTimeout(() => cut.abort(new TypeError("silence")), SILENCE);
  };
  const gone = () => cut.abort(new TypeError("offline"));
  addEventListener("offline", gone);
  alive();
  try {
    const response = await open(cursor.last, AbortSignal.any([signal, cut.signal]));
    onState("connected", 0);
    const parser = new SseParser((frame) => take(frame, cursor, onEvent));
    const reader = response.body.getReader();
    while (cursor.result === undefined) {
      const { done, value } = await reader.read();
      if (done) return; // an end without a reason is a cut
      alive();
      parser.feed(value);
    }
  } finally {
    clearTimeout(dog);
    removeEventListener("offline", gone);
    cut.abort(new TypeError("closed"));
  }
}

function take(frame, cursor, onEvent) {
  if (cursor.result !== undefined) return;
  const event = parse(frame.data);
  if (!event) return;
  const id = frame.id ?? event.id;
  if (id && event.kind !== "gap") {
    if (!isAfter(id, cursor.last)) return;
    cursor.last = id;
    cursor.tries = 0;
  }
  try {
    cursor.result = onEvent({ ...event, id });
  } catch (error) {
    console.error(error); // one bad event must not end the stream
  }
}

function parse(data) {
  try {
    const event = JSON.parse(data);
    return event && typeof event === "object" ? event : null;
  } catch {
    return null;
  }
}
