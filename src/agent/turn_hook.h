/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_HOOK_H
#define AGENT_TURN_HOOK_H

#include "agent/templates.h"
#include "agent/turn_step.h"

struct turn;
struct turn_call;

/* The site's own code in a turn: docs/hooks.md. The loop's thread. */

int turn_has_hook(struct turn *t, enum hook_kind kind);

/* Asks a hook about a call; the turn is woken with TURN_TOOLS. */
void call_ask_pre_hook(struct turn_call *c);
void call_ask_post_hook(struct turn_call *c);
void call_cancel_hook(struct turn_call *c);

/* Asks the hook before the model, and goes on with TURN_PRE_MODEL. */
enum turn_step turn_ask_model_hook(struct turn *t);

#endif
