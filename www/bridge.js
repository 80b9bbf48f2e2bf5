// AgentBridge: functions of this page that the user's agents may call, over a WebSocket.

import { backoff, pause } from "./wait.js";

/** An error with a code of its own, for the agent. */
export class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Bridge {
  #url;
  #functions;
  #onState;
  #end = new AbortController();

  /**
   * url(): a promise of the address, asked anew for each connection.
   * functions: {name: {description, parameters, run}}; parameters is a JSON Schema, run may be async.
   * onState(state, tries): "connecting", "connected" or "reconnecting".
   */
  constructor(url, functions, onState) {
    this.#url = url;
    this.#functions = functions;
    this.#onState = onState;
    this.#run().catch(() => {}); // closed
  }

  close() {
    this.#end.abort(new DOMException("closed", "AbortError"));
  }

  async #run() {
    for (let tries = 0; ; tries++) {
      this.#onState(tries ? "reconnecting" : "connecting", tries);
      if (await this.#connect()) tries = 0;
      await pause(backoff(tries), this.#end.signal);
    }
  }

  /** Resolves when the connection has ended: whether it ever was one. */
  async #connect() {
    const { signal } = this.#end;
    const url = await this.#url().catch(() => null);
    signal.throwIfAborted();
    if (!url) return false;
    const socket = new WebSocket(url);
    const close = () => socket.close();
    signal.addEventListener("abort", close);
    let was = false;
    await new Promise((resolve) => {
      socket.onmessage = ({ data }) => (was = this.#take(socket, data) || was);
      socket.onclose = resolve;
    });
    signal.removeEventListener("abort", close);
    return was;
  }

  /** True for the message that says that the connection is one. */
  #take(socket, data) {
    const message = JSON.parse(data);
    if (message.type === "command") this.#answer(socket, message);
    if (message.type !== "connection") return false;
    socket.send(JSON.stringify({ type: "capability", capabilities: this.#capabilities() }));
    this.#onState("connected", 0);
    return true;
  }

  #capabilities() {
    return Object.entries(this.#functions).map(([name, { description, parameters }]) => ({ type: "function", name, description, parameters }));
  }

  async #answer(socket, { requestId, target, parameters }) {
    const say = (answer) => JSON.stringify({ type: "response", requestId, ...answer });
    let text;
    try {
      const one = Object.hasOwn(this.#functions, target) ? this.#functions[target] : null;
      if (!one) throw new Refusal("FUNCTION_NOT_FOUND", `This page has no function ${target}.`);
      text = say({ status: "success", result: (await one.run(parameters ?? {})) ?? null });
    } catch (error) {
      text = say({ status: "error", error: { code: error.code ?? "EXECUTION_ERROR", message: String(error?.message ?? error) } });
    }
    if (socket.readyState === WebSocket.OPEN) socket.send(text);
  }
}
