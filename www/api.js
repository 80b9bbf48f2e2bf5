// The HTTP interface. Every call carries the bearer token; a 401 ends the session.

import { backoff, pause } from "./wait.js";

const ANSWER_IN = 30_000; // a request that is not a stream
const SEND_FOR = 120_000; // how long a message is sent again before it is given up
const ASK_FOR = 5_000; // the same for everything else that may be repeated

export class ApiError extends Error {
  constructor(status, problem = {}, retryAfter = null) {
    super(sentence(String(problem.detail || problem.error || problem.title || `The server answered ${status}`)));
    this.status = status;
    this.retryAfter = retryAfter; // milliseconds, or null
  }
  /** May the same request succeed if it is simply repeated? */
  get passing() {
    return [502, 503, 504].includes(this.status) || (this.status === 429 && this.retryAfter !== null);
  }
}

export const isNetworkFailure = (error) => error instanceof TypeError || error.name === "TimeoutError";

export class Api {
  #token;
  #onUnauthorized;
  #end = new AbortController();

  constructor(token, onUnauthorized) {
    this.#token = token;
    this.#onUnauthorized = onUnauthorized;
  }

  /** Ends every request and every stream of this session. */
  close() {
    this.#end.abort(new DOMException("signed out", "AbortError"));
  }

  get signal() {
    return this.#end.signal;
  }

  /** Resolves with the Response if it is a success, throws ApiError otherwise. */
  async fetch(method, path, { body, headers = {}, signal } = {}) {
    const response = await fetch(path, {
      method,
      headers: { Authorization: `Bearer ${this.#token}`, ...(body !== undefined && { "Content-Type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, this.#end.signal]) : this.#end.signal,
      cache: "no-store",
      credentials: "omit",
    });
    if (response.ok) return response;
    const error = new ApiError(response.status, await problemOf(response), retryAfterOf(response));
    if (response.status === 401 && !this.#end.signal.aborted) this.#onUnauthorized(error);
    throw error;
  }

  async json(method, path, options) {
    return (await this.#ask(method, path, options)).body;
  }

  /** One page of a list: {body, next}, where next is the path of the next page or null. */
  page(path, options) {
    return this.#ask("GET", path, options);
  }

  /** A POST that is done once however often it is sent. onWait(error, ms) before each new try. */
  async postOnce(path, body, { key = newKey(), onWait = () => {} } = {}) {
    const options = { body, headers: { "Idempotency-Key": key } };
    return (await this.#again(SEND_FOR, onWait, () => this.#once("POST", path, options))).body;
  }

  /** What may be repeated without harm is repeated for a moment. */
  #ask(method, path, options) {
    const once = () => this.#once(method, path, options);
    return method === "POST" ? once() : this.#again(ASK_FOR, () => {}, once);
  }

  async #once(method, path, { headers, signal, ...options } = {}) {
    const timeout = AbortSignal.timeout(ANSWER_IN);
    const response = await this.fetch(method, path, {
      ...options,
      headers: { Accept: "application/json", ...headers },
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    return { body: await bodyOf(response), next: nextOf(response) };
  }

  async #again(budget, onWait, once) {
    const until = Date.now() + budget;
    for (let tries = 0; ; tries++) {
      try {
        return await once();
      } catch (error) {
        if (!isNetworkFailure(error) && !error.passing) throw error;
        const ms = error.retryAfter ?? backoff(tries);
        if (Date.now() + ms > until) throw error;
        onWait(error, ms);
        await pause(ms, this.signal);
      }
    }
  }
}

/** A random UUID; crypto.randomUUID exists in secure contexts only. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

export function explain(error) {
  return isNetworkFailure(error) ? "The server cannot be reached." : error.message;
}

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** A success whose body was cut counts as a network failure. */
async function bodyOf(response) {
  const text = await response.text();
  try {
    return text === "" ? {} : JSON.parse(text);
  } catch {
    throw new TypeError("the answer was cut");
  }
}

async function problemOf(response) {
  if (!/\bjson\b/.test(response.headers.get("Content-Type") ?? "")) return {};
  const problem = await response.json().catch(() => null);
  return problem && typeof problem === "object" ? problem : {};
}

function retryAfterOf(response) {
  const value = response.headers.get("Retry-After");
  if (!value) return null;
  const ms = /^\d+$/.test(value) ? value * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

/** Only path and query are taken: the token never follows a link to another host. */
function nextOf(response) {
  const link = /<([^>]*)>[^,]*?;\s*rel="?next"?/i.exec(response.headers.get("Link") ?? "");
  if (!link) return null;
  const url = new URL(link[1], response.url || location.href);
  return url.pathname + url.search;
}
