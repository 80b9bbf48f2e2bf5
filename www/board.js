// A board of notes, and an agent that can change it: a page with two functions for agents (see bridge.js).

import { Api, explain } from "./api.js";
import { Bridge, Refusal } from "./bridge.js";
import { Chat } from "./chat.js";
import { clean, forgetToken, isSendable, keepToken, storedToken, tokenFromFragment, userOf } from "./session.js";
import { make } from "./transcript.js";

const COLORS = ["paper", "yellow", "green", "blue", "rose"];
const NOTES = 50;
const AGENT = {
  name: "Board",
  tools: ["client__*"],
  permission: { mode: "approval" },
  metadata: { page: "board" },
  systemPrompt: "You look after a board of notes on the user's screen. Change it with your tools when asked to.",
};

const $ = (id) => document.getElementById(id);

let api = null;
let bridge = null;
let chat = null;

// -- what agents may do here

const functions = {
  add_note: {
    description: "Puts a note on the board that the user sees.",
    parameters: {
      type: "object",
      properties: { text: { type: "string", minLength: 1, maxLength: 500 } },
      required: ["text"],
      additionalProperties: false,
    },
    run: ({ text }) => ({ notes: addNote(String(text)) }),
  },
  set_color: {
    description: "Gives the board a color.",
    parameters: { type: "object", properties: { color: { enum: COLORS } }, required: ["color"], additionalProperties: false },
    run: ({ color }) => ({ before: setColor(color) }),
  },
};

function addNote(text) {
  if ($("notes").children.length >= NOTES) throw new Refusal("FULL", `The board is full: it has ${NOTES} notes.`);
  $("notes").append(make("li", "note-card", text));
  $("no-notes").hidden = true;
  return $("notes").children.length;
}

function setColor(color) {
  if (!COLORS.includes(color)) throw new Refusal("INVALID_PARAMETERS", `There is no color ${color}: only ${COLORS.join(", ")}.`);
  const before = $("board").dataset.color;
  $("board").dataset.color = color;
  return before;
}

// -- session

function signIn(token) {
  if (!isSendable(token)) return signOut(token ? "This is not a token." : "Paste a token first.");
  signOut();
  keepToken(token);
  api = new Api(token, (error) => signOut(`Signed out by the server. ${error.message}`));
  $("user").textContent = userOf(token);
  $("signin").hidden = true;
  $("page").hidden = false;
  bridge = new Bridge(address, functions, showBridge);
  openChat().catch((error) => ($("notice").textContent = explain(error)));
}

function signOut(reason = "") {
  bridge?.close();
  chat?.close();
  api?.close();
  api = bridge = chat = null;
  forgetToken();
  $("page").hidden = true;
  $("signin").hidden = false;
  $("signin-error").textContent = reason;
}

/** With a ticket, which is good once: a token would stay in logs. */
async function address() {
  const { ticket } = await api.json("POST", "/api/tickets");
  const url = new URL("/agent-bridge", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("ticket", ticket);
  return url;
}

function showBridge(state) {
  $("bridge").dataset.state = state;
  $("bridge-text").textContent = state === "connected" ? "Agents can change this board" : "Connecting the board";
}

// -- the agent

async function openChat() {
  const of = api;
  const { agents } = await of.json("GET", "/api/agents");
  const agent = agents.find((one) => one.metadata?.page === "board") ?? { ...AGENT, ...(await of.postOnce("/api/agents", AGENT)) };
  if (of !== api) return;
  const ui = { scroller: $("scroller"), messages: $("messages"), activity: $("activity"), activityText: $("activity-text"), jump: $("jump"), announcer: $("announcer") };
  chat = new Chat(of, agent, ui, {
    onConnection: (state) => ($("chat").dataset.state = state),
    onRunning: () => {},
    onGone: (error) => ($("notice").textContent = explain(error)),
    onTurnEnd: () => {},
  });
}

// -- wiring

$("signin-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(clean($("token").value));
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value;
  if (!chat || text.trim() === "") return;
  $("text").value = "";
  chat.send(text);
});
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
$("sign-out").addEventListener("click", () => signOut());
addEventListener("pagehide", () => bridge?.close());
addEventListener("pageshow", (event) => event.persisted && location.reload());

const token = tokenFromFragment() ?? storedToken();
if (token !== null) signIn(token);
else signOut();
