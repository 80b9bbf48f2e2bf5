// One open conversation: history, then the event stream, and what the user sends.

import { explain, isNetworkFailure, newKey } from "./api.js";
import { follow, isFinal } from "./follow.js";
import { epochStart, isAfter, parseId } from "./sse.js";
import { ToolCall } from "./tools.js";
import { Message, Transcript } from "./transcript.js";
import { backoff, pause } from "./wait.js";

const REASONS = {
  interrupted: "Interrupted",
  limit: "Stopped: a limit was reached.",
  budget: "Stopped: the budget is used up.",
  error: "The turn failed.",
};
const PAGES = 100; // of history
const INTERRUPTS = 6; // further tries

const number = new Intl.NumberFormat();

export class Chat {
  #api;
  #agent;
  #hooks;
  #end = new AbortController();
  #transcript;
  #path;
  #byId = new Map(); // messageId -> Message of the user
  #parts = new Map(); // "turn/step" -> Message of the agent
  #latest = new Map(); // turn -> its last Message
  #tools = new Map(); // call id -> ToolCall
  #usage = new Map(); // turn -> step -> token_usage
  #errors = new Map(); // turn -> text
  #pending = new Set(); // own messages the server has not confirmed
  #committed = new Set(); // "turn/step" that the history already shows
  #replay = null; // {until, events} while catching up with the history
  #late = false; // a turn's beginning may be missing: load the history when it ends
  #last = "0-0"; // id of the newest event seen
  #gaps = 0;
  #running = null; // turn

  /** hooks: onConnection(state, tries), onRunning(bool), onGone(error), onTurnEnd() */
  constructor(api, agent, ui, hooks) {
    this.#api = api;
    this.#agent = agent;
    this.#hooks = hooks;
    this.#path = `/api/agents/${encodeURIComponent(agent.agentId)}`;
    this.#transcript = new Transcript(ui, this.#end.signal);
    this.#run().catch((error) => this.#end.signal.aborted || api.signal.aborted || hooks.onGone(error));
  }

  close() {
    this.#end.abort(new DOMException("closed", "AbortError"));
  }

  get running() {
    return this.#running !== null;
  }

  /** Tries again only while the same turn is seen to run, so that it never stops the next one. */
  async interrupt() {
    const turn = this.#running;
    for (let tries = 0; this.#running === turn; tries++) {
      try {
        return await this.#api.json("POST", `${this.#path}/interrupt`, { signal: this.#end.signal });
      } catch (error) {
        if (tries >= INTERRUPTS || (!isNetworkFailure(error) && !error.passing)) throw error;
        await pause(error.retryAfter ?? backoff(tries), this.#end.signal);
      }
    }
  }

  /** Shows the message at once and sends it until the server has it. */
  send(text) {
    const message = new Message("user", "You", Date.now());
    message.text(text);
    message.finish();
    const entry = { text, message, key: newKey(), id: null };
    this.#pending.add(entry);
    this.#transcript.add(message);
    this.#transcript.toEnd();
    this.#post(entry);
  }

  // -- sending

  async #post(entry) {
    const { message } = entry;
    message.state = "pending";
    message.note("Sending");
    try {
      const onWait = (error, ms) => message.note(`${explain(error)} Trying again ${inTime(ms)}.`);
      const body = { message: entry.text };
      this.#accepted(entry, await this.#api.postOnce(`${this.#path}/messages`, body, { key: entry.key, onWait }));
    } catch (error) {
      if (!this.#api.signal.aborted && this.#pending.has(entry)) this.#refused(entry, error);
    }
  }

  #accepted(entry, { messageId, turn }) {
    if (entry.id || !messageId) return; // its event was faster
    const shown = this.#byId.get(messageId);
    if (shown && shown !== entry.message) {
      entry.message.element.remove();
      this.#pending.delete(entry);
      return;
    }
    entry.id = messageId;
    this.#byId.set(messageId, entry.message);
    this.#latest.set(turn, entry.message);
    entry.message.note("Sent, waiting for its turn");
  }

  #refused(entry, error) {
    const again = error.retryAfter ?? 0;
    entry.message.state = "failed";
    const why = `Not sent. ${explain(error)}`;
    const offer = () => entry.message.note(why, { label: "Send again", run: () => this.#post(entry) });
    if (again) {
      entry.message.note(`${why} It can be sent again ${inTime(again)}.`);
      pause(again, this.#end.signal).then(offer, () => {});
    } else {
      offer();
    }
    this.#transcript.announce(why);
    this.#transcript.changed();
  }

  // -- history

  async #run() {
    for (let next = "reload"; ; ) {
      if (next === "reload") await this.#load();
      next = await this.#follow();
      if (this.#gaps > 1) await pause(backoff(this.#gaps), this.#end.signal);
    }
  }

  async #load() {
    const { messages, last } = await this.#fetchHistory();
    this.#clear();
    for (const one of messages) this.#showStored(one);
    await this.#askOpenQuestions();
    for (const entry of this.#pending) this.#keepPending(entry);
    this.#late = false;
    this.#last = last;
    this.#replay = parseId(last) && isAfter(last, "0-0") ? { until: last, events: [] } : null;
  }

  async #fetchHistory() {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#allPages();
      } catch (error) {
        this.#end.signal.throwIfAborted();
        if (isFinal(error)) throw error;
        this.#hooks.onConnection("reconnecting", tries);
        await pause(error.retryAfter ?? backoff(tries), this.#end.signal);
      }
    }
  }

  async #allPages() {
    const messages = [];
    let last = "0-0";
    for (let path = `${this.#path}/messages`, n = 0; path && n < PAGES; n++) {
      const { body, next } = await this.#api.page(path, { signal: this.#end.signal });
      messages.push(...(body.messages ?? []));
      last = body.last ?? last;
      path = next;
    }
    return { messages, last };
  }

  #clear() {
    this.#transcript.clear();
    for (const map of [this.#byId, this.#parts, this.#latest, this.#tools, this.#usage, this.#errors, this.#committed]) map.clear();
    this.#setRunning(null);
  }

  #showStored(stored) {
    if (stored.turn && stored.step !== undefined && stored.role === "assistant") this.#committed.add(`${stored.turn}/${stored.step}`);
    const { text, thinking } = textOf(stored.content);
    if (stored.role === "user") this.#showResults(stored);
    if (stored.kind) return; // a reminder, or a summary: not what somebody said
    if (!text && !thinking && !stored.interrupted && !stored.error) return this.#showCalls(stored); // tool results
    const user = stored.role === "user";
    const message = new Message(user ? "user" : "assistant", user ? "You" : this.#agent.name, stored.time);
    if (thinking) message.think(thinking);
    message.text(text);
    message.finish();
    if (stored.interrupted) end(message, "interrupted");
    if (stored.error) end(message, "error", stored.error.message);
    if (user && stored.id) this.#byId.set(stored.id, message);
    this.#transcript.add(message);
    this.#showCalls(stored);
  }

  #showCalls(stored) {
    for (const { type, id, name, input } of blocksOf(stored.content)) {
      if (type === "tool_use") this.#tool(id).update({ name, input, state: "EXECUTING" });
    }
  }

  #showResults(stored) {
    for (const { type, tool_use_id: id, content } of blocksOf(stored.content)) {
      if (type !== "tool_result") continue;
      const result = parsed(textOf(content).text);
      this.#tool(id).update({ result, state: result?.ok === false ? "FAILED" : "COMPLETED" });
    }
  }

  /** What the agent waits for; its event may be long past. */
  async #askOpenQuestions() {
    try {
      const { approvals } = await this.#api.json("GET", `${this.#path}/approvals`, { signal: this.#end.signal });
      for (const call of approvals ?? []) this.#tool(call.id).update(call);
    } catch (error) {
      this.#end.signal.throwIfAborted();
      if (isFinal(error)) throw error;
    }
  }

  #keepPending(entry) {
    if (entry.id && this.#byId.has(entry.id)) return this.#pending.delete(entry);
    if (entry.id) this.#byId.set(entry.id, entry.message);
    this.#transcript.add(entry.message);
  }

  // -- events

  #follow() {
    const since = this.#replay ? epochStart(this.#replay.until) : this.#last;
    return follow({
      open: (last, signal) => this.#api.fetch("GET", `${this.#path}/events`, { headers: { Accept: "text/event-stream", "Last-Event-ID": last }, signal }),
      last: since,
      signal: this.#end.signal,
      onEvent: (event) => this.#take(event),
      onState: (state, tries) => this.#hooks.onConnection(state, tries),
    });
  }

  /** Returns "reload" or "resume" if the stream must be opened anew. */
  #take(event) {
    if (event.kind === "gap") return this.#gap();
    this.#gaps = 0;
    if (event.id) this.#last = isAfter(event.id, this.#last) ? event.id : this.#last;
    if (!this.#replay) return this.#show(event);
    if (event.id && isAfter(event.id, this.#replay.until)) {
      this.#endReplay();
      return this.#show(event);
    }
    this.#collect(event);
    if (event.id === this.#replay.until) this.#endReplay();
  }

  #gap() {
    this.#gaps++;
    if (!this.#replay) return "reload";
    this.#replay = null; // the log does not reach back: go on from the history, the running step is cut short
    this.#late = true;
    return "resume";
  }

  /** The history shows what was committed; of the events up to it only the running step and waiting messages count. */
  #collect(event) {
    const { events } = this.#replay;
    if (["message_accepted", "turn_start", "agent_resumed"].includes(event.kind)) this.#show(event);
    else if (["done", "step_complete", "stream_reset"].includes(event.kind)) this.#replay.events = events.filter(({ turn }) => turn !== event.turn);
    else events.push(event);
    if (event.kind === "done" && this.#isOver(event)) this.#setRunning(null);
  }

  #endReplay() {
    const { events } = this.#replay;
    this.#replay = null;
    for (const event of events) this.#show(event);
  }

  #show(event) {
    const result = Chat.#handlers.get(event.kind)?.(this, event);
    this.#transcript.changed();
    return result;
  }

  static #handlers = new Map([
    ["message_accepted", (chat, e) => chat.#onAccepted(e)],
    ["turn_start", (chat, e) => chat.#onTurnStart(e)],
    ["think_chunk", (chat, e) => chat.#part(e)?.think(String(e.text ?? ""))],
    ["text_chunk", (chat, e) => chat.#onText(e)],
    ["stream_reset", (chat, e) => chat.#onReset(e)],
    ["tool:start", (chat, e) => chat.#onTool(e, "Using a tool")],
    ["tool:output", (chat, e) => chat.#tools.get(e.callId)?.print(String(e.output ?? ""))],
    ["tool:complete", (chat, e) => chat.#onTool(e, "Working")],
    ["tool_audit", (chat, e) => chat.#onTool(e)],
    ["approval_response", (chat, e) => chat.#onTool(e, "Working")],
    ["permission_required", (chat, e) => chat.#onTool(e, "Waiting for an answer")],
    ["retry", (chat, e) => chat.#activity(e.message ? `Trying again: ${e.message}` : "The model did not answer, trying again")],
    ["agent_resumed", (chat, e) => chat.#onResumed(e)],
    ["step_complete", (chat) => chat.#activity("Working")],
    ["token_usage", (chat, e) => chat.#onUsage(e)],
    ["error", (chat, e) => chat.#onError(e)],
    ["done", (chat, e) => chat.#onDone(e)],
  ]);

  #onAccepted(event) {
    const id = event.messageId;
    let message = this.#byId.get(id);
    const own = [...this.#pending].find((one) => (one.id ? one.id === id : !message && one.text === textOf(event.content).text));
    if (own) {
      own.id = id;
      message = own.message;
      this.#pending.delete(own);
    }
    if (!message) {
      message = new Message("user", "You", event.time);
      message.text(textOf(event.content).text);
      message.finish();
      this.#transcript.add(message);
    }
    this.#byId.set(id, message);
    this.#latest.set(event.turn, message);
    message.state = "sent";
    const waits = this.#running && this.#running !== event.turn;
    message.note(waits ? "Waiting for its turn" : "");
    if (!this.#running) this.#setRunning(event.turn);
  }

  #onTurnStart(event) {
    const first = this.#latest.get(event.turn);
    if (first?.role === "user") first.note("");
    this.#setRunning(event.turn);
    this.#activity("Working");
  }

  #onResumed(event) {
    if (event.turn) this.#setRunning(event.turn);
    this.#activity("Resumed after a restart");
  }

  #onText(event) {
    const part = this.#part(event);
    if (!part) return;
    part.text(String(event.text ?? ""));
    this.#activity("");
  }

  #onTool(event, activity) {
    const { call, agent } = event;
    if (call?.id && !agent) this.#tool(call.id, event.turn).update(call); // not a sub-agent's
    if (activity) this.#activity(activity);
  }

  /** The call of that id, new at the end of what its turn has shown. */
  #tool(id, turn) {
    let tool = this.#tools.get(id);
    if (tool) return tool;
    tool = new ToolCall(id, (call, decision) => this.#api.json("POST", `${this.#path}/approvals/${encodeURIComponent(call)}`, { body: { decision }, signal: this.#end.signal }));
    this.#transcript.add(tool, this.#latest.get(turn));
    this.#tools.set(id, tool);
    if (turn) this.#latest.set(turn, tool);
    return tool;
  }

  #onReset(event) {
    const part = this.#parts.get(`${event.turn}/${event.step}`) ?? this.#answer(event.turn);
    if (part?.state === "streaming") part.reset();
    this.#activity("Starting this answer again");
  }

  #onUsage(event) {
    if (!this.#usage.has(event.turn)) this.#usage.set(event.turn, new Map());
    this.#usage.get(event.turn).set(event.step, event);
    this.#showUsage(event.turn);
  }

  #onError(event) {
    this.#errors.set(event.turn, String(event.message ?? "An error occurred."));
    this.#transcript.announce(this.#errors.get(event.turn));
  }

  #onDone(event) {
    const { turn, reason } = event;
    let message = this.#answer(turn);
    const why = reason === "error" ? this.#errors.get(turn) ?? event.message ?? REASONS.error : REASONS[reason];
    if (why) message ??= this.#newPart(turn, `${turn}/end`);
    for (const [key, part] of this.#parts) if (key.startsWith(`${turn}/`)) part.finish();
    if (message) {
      if (why) end(message, reason, why);
      this.#showUsage(turn);
      this.#transcript.announce([`${this.#agent.name}: ${message.flow.text}`, why].filter(Boolean).join(" "));
    }
    if (reason === "withdrawn") this.#latest.get(turn)?.note("Withdrawn.");
    this.#usage.delete(turn);
    if (!this.#isOver(event)) return;
    this.#setRunning(null);
    this.#hooks.onTurnEnd();
    return this.#late ? "reload" : undefined;
  }

  /** Is this done of the turn that runs, and not of one that has waited behind it and was withdrawn? */
  #isOver({ turn }) {
    return this.#running === null || this.#running === turn;
  }

  /** The message this event's text belongs to; null if the history shows it already. */
  #part(event) {
    const key = `${event.turn}/${event.step}`;
    if (this.#committed.has(key)) return null;
    if (this.#running !== event.turn) this.#setRunning(event.turn);
    return this.#parts.get(key) ?? this.#newPart(event.turn, key, event.time);
  }

  #newPart(turn, key, time) {
    const message = new Message("assistant", this.#agent.name, time);
    message.state = "streaming";
    this.#transcript.add(message, this.#latest.get(turn));
    this.#parts.set(key, message);
    this.#latest.set(turn, message);
    return message;
  }

  /** The last message of the agent in a turn. */
  #answer(turn) {
    return [...this.#parts].findLast(([key]) => key.startsWith(`${turn}/`))?.[1];
  }

  #showUsage(turn) {
    const message = this.#answer(turn);
    const steps = [...(this.#usage.get(turn)?.values() ?? [])];
    if (!steps.length || !message) return;
    const sum = (name) => steps.reduce((total, step) => total + (Number(step[name]) || 0), 0);
    const cached = sum("cached");
    message.usage(`${number.format(sum("input"))} tokens in${cached ? ` (${number.format(cached)} cached)` : ""}, ${number.format(sum("output"))} out`);
  }

  #activity(text) {
    this.#transcript.activity(this.#running ? text : "");
  }

  #setRunning(turn) {
    const was = this.running;
    this.#running = turn;
    if (was !== this.running) this.#activity("Working");
    this.#hooks.onRunning(this.running);
  }
}

function end(message, reason, why = REASONS[reason]) {
  message.state = reason;
  message.note(why);
}

/** The readable parts of a message's content: a string or blocks. */
function textOf(content) {
  if (typeof content === "string") return { text: content, thinking: "" };
  const blocks = Array.isArray(content) ? content : [];
  const join = (type, field) => blocks.filter((b) => b?.type === type && b[field]).map((b) => b[field]).join("\n\n");
  return { text: join("text", "text"), thinking: join("thinking", "thinking") || join("thinking", "text") };
}

function blocksOf(content) {
  return Array.isArray(content) ? content.filter(Boolean) : [];
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function inTime(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 1) return "in a moment";
  if (seconds < 90) return `in ${seconds} seconds`;
  return `at ${new Date(Date.now() + ms).toLocaleTimeString()}`;
}
