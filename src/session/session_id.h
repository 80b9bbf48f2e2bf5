/* SPDX-License-Identifier: MIT */
#ifndef SESSION_SESSION_ID_H
#define SESSION_SESSION_ID_H

#include "base/id.h"

/*
 * Ids of sessions, in the forms that clients of agent-runtime know:
 *
 *   claude    46adb5ce-54f3-4a27-b3cb-40bf2d6a1ae5 (a UUIDv4, lower case)
 *   opencode  ses_01a1f9974a39_hnuiqyud46l (ms since 1970, random)
 *
 * A session is an agent, and its id and the agent's are one number of 128
 * bits, written in two ways: no mapping is kept anywhere.
 */
enum session_kind { SESSION_CLAUDE, SESSION_OPENCODE };

#define SESSION_ID_SIZE 40

/*
 * The kind of sessions of an architecture ("claude-agent-sdk", "claude-sdk",
 * "opencode"); -1 if there is none of that name.
 */
int session_kind_find(const char *architecture);

/*
 * A new id: random, and for opencode the wall clock's time. Aborts if the
 * kernel has no randomness.
 */
void session_id_make(char out[SESSION_ID_SIZE], enum session_kind kind);

/* 1 and the agent of a session's id, or 0 if s is no such id. */
int session_id_agent(const char *s, char agent_r[ID_SIZE]);

/*
 * 1 and the session's id of an agent's; 0 if that agent can be no session.
 * Of agents that are none one in 64 has such an id too: whether it is one its
 * info says.
 */
int session_id_of_agent(const char *agent, char out[SESSION_ID_SIZE]);

#endif
