// SPDX-License-Identifier: MIT
//
// What the official client libraries make of a server's answers.
//
//     node sdk.mjs FOLDER <requests >views
//
// FOLDER has the packages. Standard input is a line of JSON per request,
//
//     {"api": "anthropic", "url": URL, "prompt": TEXT, "retries": 0}
//
// and standard output one per answer, in that order: {"view": what the library
// says, in the words of agent-fpm decode, "raw": the body of the last response
// in base64}. Everything in a view comes from the library's own objects:
// nothing of the stream is parsed here. It is complete if the library ended
// without an error, and thrown is the error's text if not.

import { createRequire } from "node:module";
import http from "node:http";
import readline from "node:readline";

const require = createRequire(`${process.argv[2]}/`);
const Anthropic = require("@anthropic-ai/sdk").default;
const OpenAI = require("openai").default;

// ---- the bytes

// fetch for the libraries, which keeps what came. The body is read to its end
// or to where it was cut before the library gets it, piece by piece as it came:
// so that both sides know the same bytes, however a connection ends.
function recorder() {
  const seen = { requests: 0, pieces: [] };

  async function fetchRecorded(url, init) {
    const res = await new Promise((resolve, reject) => {
      const req = http.request(url, { method: init.method, headers: Object.fromEntries(new Headers(init.headers)) }, resolve);
      req.on("error", reject);
      req.end(init.body);
    });
    const pieces = [];
    const cut = await new Promise((resolve) => {
      res.on("data", (piece) => pieces.push(piece));
      res.on("end", () => resolve(null));
      res.on("error", resolve);
    });
    Object.assign(seen, { requests: seen.requests + 1, pieces });
    return new Response(replay(pieces, cut), { status: res.statusCode, headers: res.headers });
  }
  return { seen, fetch: fetchRecorded };
}

function replay(pieces, cut) {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at < pieces.length)
        controller.enqueue(new Uint8Array(pieces[at++]));
      else if (cut)
        controller.error(cut);
      else
        controller.close();
    },
  }, { highWaterMark: 0 });
}

// ---- what the libraries say

const orNull = (value) => value ?? null;
const joined = (list, member) => list.map((one) => one[member] ?? "").join("");

function call(id, name, raw) {
  try {
    return { id, name, valid: true, arguments: JSON.parse(raw || "{}"), raw };
  } catch {
    return { id, name, valid: false, arguments: null, raw };
  }
}

async function anthropic(client, prompt, view) {
  const stream = client.messages.stream({ model: "m", max_tokens: 1000, messages: [{ role: "user", content: prompt }] });
  let message = null;
  stream.on("streamEvent", (_event, snapshot) => { message = snapshot; });
  try {
    message = await stream.finalMessage();
    view.complete = true;
  } finally {
    if (message)
      anthropicView(message, view);
  }
}

function anthropicView(message, view) {
  const of = (type) => message.content.filter((block) => block.type === type);
  view.types = message.content.map((block) => block.type);
  view.text = joined(of("text"), "text");
  view.thinking = joined(of("thinking"), "thinking");
  view.signatures = of("thinking").map((block) => block.signature ?? "");
  // The library keeps the text of the arguments beside what it parsed.
  view.calls = of("tool_use").map((block) => call(block.id, block.name, block.__json_buf ?? JSON.stringify(block.input)));
  view.parsed = of("tool_use").map((block) => block.input);
  const u = message.usage;
  const cached = u.cache_read_input_tokens ?? 0, written = u.cache_creation_input_tokens ?? 0;
  view.usage = { input_tokens: u.input_tokens + cached + written, output_tokens: u.output_tokens, cached_tokens: cached,
    cache_write_tokens: written, reasoning_tokens: orNull(u.output_tokens_details?.thinking_tokens) };
  view.stop = orNull(message.stop_reason);
  view.model = message.model;
}

async function chat(client, prompt, view) {
  const stream = client.chat.completions.stream({ model: "m", stream_options: { include_usage: true },
    messages: [{ role: "user", content: prompt }] });
  const chunks = [];
  let snapshot = null;
  stream.on("chunk", (chunk, whole) => { chunks.push(chunk); snapshot = whole; });
  try {
    await stream.finalChatCompletion();
    view.complete = true;
  } finally {
    if (snapshot)
      chatView(snapshot, chunks, view);
  }
}

function chatView(snapshot, chunks, view) {
  const choice = snapshot.choices[0], message = choice?.message ?? {};
  view.text = message.content ?? "";
  view.refusal = message.refusal ?? "";
  // No member of OpenAI's own: the library hands over each chunk with it.
  const deltas = chunks.flatMap((chunk) => chunk.choices).filter((one) => one.index === 0).map((one) => one.delta ?? {});
  view.thinking = deltas.map((delta) => delta.reasoning_content ?? delta.reasoning ?? "").join("");
  view.calls = (message.tool_calls ?? []).map((one) => call(one.id, one.function.name, one.function.arguments));
  view.parsed = view.calls.map((one) => one.arguments);
  const u = chunks.map((chunk) => chunk.usage ?? chunk.x_groq?.usage).filter(Boolean).at(-1);
  view.usage = u ? { input_tokens: u.prompt_tokens, output_tokens: u.completion_tokens,
    cached_tokens: u.prompt_tokens_details?.cached_tokens ?? u.prompt_cache_hit_tokens ?? 0,
    cache_write_tokens: u.prompt_tokens_details?.cache_write_tokens ?? 0,
    reasoning_tokens: orNull(u.completion_tokens_details?.reasoning_tokens) } : null;
  view.stop = orNull(choice?.finish_reason);
  view.model = snapshot.model;
}

async function responses(client, prompt, view) {
  const stream = client.responses.stream({ model: "m", input: [{ role: "user", content: prompt }], store: false });
  const events = [];
  let response = null;
  stream.on("event", (event) => { events.push(event); });
  try {
    response = await stream.finalResponse();
    view.complete = ["completed", "incomplete"].includes(response.status);
  } finally {
    responsesView(response, events, view);
  }
}

// The whole response is what its last event says; a cut one, what the deltas
// said. Of a whole one both must be the same.
function responsesView(response, events, view) {
  const said = (type) => joined(events.filter((event) => event.type === type), "delta");
  const parts = { text: said("response.output_text.delta"), refusal: said("response.refusal.delta"),
    thinking: said("response.reasoning_summary_text.delta") || said("response.reasoning_text.delta") };
  Object.assign(view, parts);
  const calls = events.filter((event) => event.type === "response.output_item.done").map((event) => event.item);
  view.calls = functionCalls(response?.output ?? calls);
  view.parsed = view.calls.map((one) => one.arguments);
  if (!response)
    return;
  const content = response.output.filter((item) => item.type === "message").flatMap((item) => item.content);
  const reasoning = response.output.filter((item) => item.type === "reasoning");
  const whole = { text: joined(content.filter((part) => part.type === "output_text"), "text"),
    refusal: joined(content.filter((part) => part.type === "refusal"), "refusal"),
    thinking: reasoning.map((item) => joined(item.summary ?? [], "text") || joined(item.content ?? [], "text")).join("") };
  if (view.complete && JSON.stringify(whole) !== JSON.stringify(parts))
    view.problem = `the deltas say ${JSON.stringify(parts)}, the response ${JSON.stringify(whole)}`;
  const u = response.usage;
  view.usage = u ? { input_tokens: u.input_tokens, output_tokens: u.output_tokens,
    cached_tokens: u.input_tokens_details?.cached_tokens ?? 0, cache_write_tokens: u.input_tokens_details?.cache_write_tokens ?? 0,
    reasoning_tokens: orNull(u.output_tokens_details?.reasoning_tokens) } : null;
  const why = response.incomplete_details?.reason;
  view.stop = why ? `${response.status}:${why}` : response.status;
  if (response.error)
    view.error = { type: null, code: response.error.code, message: response.error.message };
  view.model = response.model;
}

function functionCalls(items) {
  return items.filter((item) => item.type === "function_call").map((item) => call(item.call_id, item.name, item.arguments));
}

// ---- one request

const APIS = {
  // This version says who it is with a bearer's token, our server wants the key.
  "anthropic": { ask: anthropic, client: (o) => new Anthropic({ ...o, baseURL: o.url, defaultHeaders: { "x-api-key": o.apiKey } }) },
  "openai-chat": { ask: chat, client: (o) => new OpenAI({ ...o, baseURL: `${o.url}/v1` }) },
  "openai-responses": { ask: responses, client: (o) => new OpenAI({ ...o, baseURL: `${o.url}/v1` }) },
};

// What the server said: {type, message}, or null of what the library found.
function said(error) {
  const inner = error.error?.error ?? error.error;
  return inner ? { type: orNull(inner.type), code: orNull(inner.code), message: inner.message ?? String(inner) } : null;
}

async function answer({ api, url, prompt, retries }) {
  const view = { model: null, text: "", thinking: "", refusal: "", types: [], signatures: [], calls: [], parsed: [], usage: null,
    stop: null, complete: false, error: null, thrown: null, status: null, retry_after: null };
  const { seen, fetch } = recorder();
  const begin = performance.now();
  const client = APIS[api].client({ url, fetch, apiKey: "key", maxRetries: retries ?? 0, timeout: 20000, logLevel: "off" });
  try {
    await APIS[api].ask(client, prompt, view);
  } catch (error) {
    Object.assign(view, { thrown: `${error.constructor.name}: ${error.message}`, error: said(error), status: orNull(error.status),
      retry_after: orNull(error.headers?.get("retry-after")) });
  }
  Object.assign(view, { requests: seen.requests, took_ms: performance.now() - begin });
  return { view, raw: Buffer.concat(seen.pieces).toString("base64") };
}

for await (const line of readline.createInterface({ input: process.stdin }))
  console.log(JSON.stringify(await answer(JSON.parse(line))));
process.exit(0);
