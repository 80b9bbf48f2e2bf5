// The list of the user's agents.

import { explain } from "./api.js";
import { laterText } from "./dialogs.js";
import { make } from "./transcript.js";

export class AgentList {
  #api;
  #ui;
  #items = new Map(); // agentId -> agent, in the order shown
  #next = null;
  #current = null;

  /** ui: elements list, empty, more, error */
  constructor(api, ui) {
    this.#api = api;
    this.#ui = ui;
    ui.more.onclick = () => this.#try(() => this.#more());
    this.#render();
  }

  refresh() {
    return this.#try(async () => {
      const { body, next } = await this.#api.page("/api/agents");
      const first = new Map(agentsOf(body).map((agent) => [agent.agentId, agent]));
      const further = this.#items.size > first.size && next ? this.#items : [];
      this.#items = new Map([...first, ...[...further].filter(([id]) => !first.has(id))]);
      if (this.#items.size === first.size) this.#next = next;
      this.#render();
    });
  }

  /** The agent, from the list or from the server. */
  async find(id) {
    return this.#items.get(id) ?? { agentId: id, ...(await this.#api.json("GET", agentPath(id))) };
  }

  async create(fields) {
    const body = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
    const agent = { ...body, ...(await this.#api.postOnce("/api/agents", body)) };
    this.#items = new Map([[agent.agentId, agent], ...this.#items]);
    this.#render();
    return agent;
  }

  async rename(id, name) {
    await this.#api.json("PATCH", agentPath(id), { body: { name } });
    if (this.#items.has(id)) this.#items.get(id).name = name;
    this.#render();
  }

  async remove(id) {
    try {
      await this.#api.json("DELETE", agentPath(id));
    } catch (error) {
      if (!(await this.isGone(id, error))) throw error; // else it is what was wanted
    }
    this.forget(id);
  }

  /** Does the error say that there is no such agent? To the server that is as forbidden as what the token may not do. */
  async isGone(id, error) {
    if (error.status !== 403) return false;
    const failure = await this.#api.json("GET", agentPath(id)).then(() => null, (reason) => reason);
    return failure?.status === 403;
  }

  forget(id) {
    this.#items.delete(id);
    this.#render();
  }

  select(id) {
    this.#current = id;
    this.#render();
  }

  /** Something happened to it: it is the first now. */
  touch(id) {
    const agent = this.#items.get(id);
    if (!agent || this.#items.keys().next().value === id) return;
    this.#items.delete(id);
    this.#items = new Map([[id, agent], ...this.#items]);
    this.#render();
  }

  linkTo(id) {
    const link = linkOf(id);
    return [...this.#ui.list.querySelectorAll("a")].find((one) => one.hash === link);
  }

  async #more() {
    const { body, next } = await this.#api.page(this.#next);
    for (const agent of agentsOf(body)) this.#items.set(agent.agentId, agent);
    this.#next = next;
    this.#render();
  }

  async #try(work) {
    this.#ui.error.textContent = "";
    try {
      await work();
    } catch (error) {
      if (!this.#api.signal.aborted) this.#ui.error.textContent = explain(error) + laterText(error);
    }
  }

  #render() {
    const { list, empty, more } = this.#ui;
    const focused = list.contains(document.activeElement) ? document.activeElement.hash : null;
    list.replaceChildren(...Array.from(this.#items.values(), (agent) => this.#item(agent)));
    empty.hidden = this.#items.size > 0;
    more.hidden = !this.#next;
    if (focused) [...list.querySelectorAll("a")].find((link) => link.hash === focused)?.focus();
  }

  #item(agent) {
    const link = make("a", "", agent.name || agent.agentId);
    link.href = linkOf(agent.agentId);
    if (agent.agentId === this.#current) link.setAttribute("aria-current", "page");
    const item = make("li");
    item.append(link);
    return item;
  }
}

export async function templates(api) {
  const body = await api.json("GET", "/api/templates").catch(() => ({}));
  return Array.isArray(body) ? body : body.templates ?? [];
}

function agentsOf(body) {
  return Array.isArray(body) ? body : body.agents ?? [];
}

function linkOf(id) {
  return `#agent=${encodeURIComponent(id)}`;
}

function agentPath(id) {
  return `/api/agents/${encodeURIComponent(id)}`;
}
