// The console: signs in, routes by the URL fragment (#agent=ID), wires the page to its parts.

import { AgentList, templates } from "./agents.js";
import { Api, explain } from "./api.js";
import { Chat } from "./chat.js";
import { ask, closeAll, laterText } from "./dialogs.js";
import { clean, forgetToken, fragment, isSendable, keepToken, storedToken, tokenFromFragment, userOf } from "./session.js";

const GONE = "This agent does not exist any more.";
const WORDS = { connected: "Connected", connecting: "Connecting", reconnecting: "Reconnecting", offline: "Offline, trying again" };

const $ = (id) => document.getElementById(id);

let api = null;
let agents = null;
let chat = null;
let agent = null; // the open one
let asked = null; // the id last routed to

// -- session

function signIn(token) {
  if (!isSendable(token)) return signOut(token ? "This is not a token." : "Paste a token first.");
  signOut();
  keepToken(token);
  api = new Api(token, (error) => signOut(`Signed out by the server. ${error.message}`));
  $("user").textContent = userOf(token);
  $("token").value = "";
  $("signin").hidden = true;
  $("console").hidden = false;
  agents = new AgentList(api, { list: $("agents"), empty: $("no-agents"), more: $("more-agents"), error: $("list-error") });
  agents.refresh();
  route();
}

function signOut(reason = "") {
  closeChat();
  closeAll();
  api?.close();
  api = agents = asked = null;
  forgetToken();
  $("console").hidden = true;
  $("signin").hidden = false;
  $("signin-error").textContent = reason;
  $("token").focus();
}

function start() {
  const token = tokenFromFragment() ?? storedToken();
  if (token !== null) signIn(token);
  else signOut();
}

// -- the open agent

async function route() {
  const token = tokenFromFragment();
  if (token !== null) return signIn(token);
  if (!api) return;
  const id = fragment().get("agent");
  if (id === asked) return;
  const left = asked;
  closeChat();
  asked = id;
  agents.select(id);
  $("console").dataset.view = id ? "chat" : "list";
  if (id) await open(id);
  else if (left) (agents.linkTo(left) ?? $("new-agent")).focus();
}

async function open(id) {
  const { signal } = api;
  const from = agents;
  try {
    const found = await from.find(id);
    if (id === asked && !signal.aborted) openChat(found);
  } catch (error) {
    if (id === asked && !signal.aborted) leave(error.status === 403 ? GONE : explain(error));
  }
}

function openChat(found) {
  agent = { ...found, name: found.name || found.agentId };
  showName();
  $("welcome").hidden = true;
  $("chat").hidden = false;
  $("notice").textContent = "";
  const ui = { scroller: $("scroller"), messages: $("messages"), activity: $("activity"), activityText: $("activity-text"), jump: $("jump"), announcer: $("announcer") };
  showConnection("connecting", 0);
  chat = new Chat(api, agent, ui, {
    onConnection: showConnection,
    onRunning: showRunning,
    onGone: (error) => lose(found.agentId, error),
    onTurnEnd: () => agents?.touch(found.agentId),
  });
  (matchMedia("(pointer: fine)").matches ? $("text") : $("chat-name")).focus();
}

/** The conversation cannot go on. */
async function lose(id, error) {
  const of = chat;
  const gone = await agents.isGone(id, error);
  if (of !== chat) return;
  if (!gone) return showConnection("offline", 0, explain(error));
  agents.forget(id);
  leave(GONE);
}

function closeChat() {
  chat?.close();
  chat = agent = null;
  $("chat").hidden = true;
  $("welcome").hidden = false;
  document.title = "agent-fpm";
}

/** The page may be kept for the back button: it must not keep a connection. */
function suspend() {
  closeChat();
  asked = null;
}

/** Back to the list, with a reason. */
function leave(reason) {
  location.hash = "";
  $("list-error").textContent = reason;
}

function showName() {
  $("chat-name").textContent = agent.name;
  document.title = `${agent.name} · agent-fpm`;
}

function showConnection(state, tries, reason) {
  if (state !== "connected" && (reason || !navigator.onLine || tries > 5)) state = "offline";
  const text = reason ?? WORDS[state];
  $("connection").dataset.state = state;
  if ($("connection-text").textContent !== text) $("connection-text").textContent = text;
}

function showRunning(running) {
  $("stop").hidden = !running;
  if (!running) showStopping(false);
}

function showStopping(stopping) {
  $("stop").disabled = stopping;
  $("stop").textContent = stopping ? "Stopping" : "Stop";
}

// -- composer

function send() {
  const text = $("text").value;
  if (!chat || text.trim() === "") return;
  $("notice").textContent = "";
  $("text").value = "";
  grow();
  chat.send(text);
}

async function stop() {
  const of = chat;
  if (!of?.running || $("stop").disabled) return;
  showStopping(true);
  try {
    await of.interrupt();
  } catch (error) {
    if (of === chat) $("notice").textContent = `Not stopped. ${explain(error)}${laterText(error)}`;
  } finally {
    if (of === chat) showStopping(false);
  }
}

function grow() {
  if (CSS.supports("field-sizing", "content")) return;
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight}px`;
}

function onComposerKey(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
}

function onKey(event) {
  if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]")) return;
  stop();
}

// -- dialogs

async function createAgent() {
  const dialog = $("create-dialog");
  dialog.querySelector("form").reset();
  fillTemplates([]);
  ask(dialog, async (fields) => {
    const made = await agents.create(fields);
    location.hash = `agent=${encodeURIComponent(made.agentId)}`;
  });
  fillTemplates(await templates(api));
}

function fillTemplates(list) {
  const select = $("create-template");
  const about = () => ($("create-template-about").textContent = list[select.selectedIndex - 1]?.description ?? "");
  select.replaceChildren(new Option("None", ""), ...list.map(({ name }) => new Option(name, name)));
  select.onchange = about;
  $("create-template-row").hidden = list.length === 0;
  about();
}

function renameAgent() {
  const { agentId } = agent;
  $("rename-name").value = agent.name;
  ask($("rename-dialog"), async ({ name }) => {
    await agents.rename(agentId, name);
    if (agent?.agentId !== agentId) return;
    agent.name = name;
    showName();
  });
  $("rename-name").select();
}

function deleteAgent() {
  const { agentId } = agent;
  $("delete-name").textContent = agent.name;
  ask($("delete-dialog"), async () => {
    await agents.remove(agentId);
    if (agent?.agentId === agentId) location.hash = "";
  });
}

// -- wiring

$("signin-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(clean($("token").value));
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
$("text").addEventListener("keydown", onComposerKey);
$("text").addEventListener("input", grow);
$("stop").addEventListener("click", stop);
$("sign-out").addEventListener("click", () => signOut());
$("new-agent").addEventListener("click", createAgent);
$("rename").addEventListener("click", renameAgent);
$("delete").addEventListener("click", deleteAgent);
addEventListener("hashchange", route);
addEventListener("keydown", onKey);
addEventListener("pagehide", suspend);
addEventListener("pageshow", (event) => event.persisted && route());
addEventListener("focus", () => agents?.refresh());

start();
