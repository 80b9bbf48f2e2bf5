/* SPDX-License-Identifier: MIT */
#ifndef CHAT_RUN_H
#define CHAT_RUN_H

#include "decode_run.h"

/* Streams of Chat Completions for the tests of their decoder. */

#define EVENT(json) "data: " json "\n\n"
#define CHUNK(choice)                                                          \
	EVENT("{\"id\":\"c1\",\"model\":\"m\",\"choices\":[" choice "]}")
#define DELTA(delta)                                                           \
	CHUNK("{\"index\":0,\"delta\":{" delta "},\"finish_reason\":null}")
#define TEXT(text) DELTA("\"content\":\"" text "\"")
#define THINK(text) DELTA("\"reasoning_content\":\"" text "\"")
#define CALLS(calls) DELTA("\"tool_calls\":[" calls "]")
#define CALL(index, id, name, arguments)                                       \
	CALLS("{\"index\":" index ",\"id\":\"" id                              \
	      "\",\"type\":\"function\",\"function\":{\"name\":\"" name        \
	      "\",\"arguments\":\"" arguments "\"}}")
#define ARGS(index, arguments)                                                 \
	CALLS("{\"index\":" index ",\"function\":{\"arguments\":\"" arguments  \
	      "\"}}")
#define FINISH(word)                                                           \
	CHUNK("{\"index\":0,\"delta\":{},\"finish_reason\":\"" word "\"}")
#define DONE "data: [DONE]\n\n"
#define STOP FINISH("stop") DONE

#define OF_TEXT(text) "{\"type\":\"text\",\"text\":\"" text "\"}"
#define OF_THINKING(text) "{\"type\":\"thinking\",\"thinking\":\"" text "\"}"
#define OF_CALL(id, name, input)                                               \
	"{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"" name            \
	"\",\"input\":" input "}"

#define DETAILS(text, list)                                                    \
	DELTA("\"content\":\"\",\"reasoning\":" text                           \
	      ",\"reasoning_details\":[" list "]")
#define PIECE(more)                                                            \
	"{\"type\":\"reasoning.text\",\"index\":0,\"format\":\"f\"," more "}"
#define ENCRYPTED(data)                                                        \
	"{\"type\":\"reasoning.encrypted\",\"index\":0,\"data\":\"" data "\"}"
#define WITH(arguments)                                                        \
	CALLS("{\"id\":\"t\",\"function\":{\"name\":\"f\","                    \
	      "\"arguments\":" arguments "}}")

extern const struct run_of chat_api, chat_tags; /* without and with the quirk */

/* The stream is whole and gives this content for the history. */
void chat_expect_of(struct run_of of, const char *text, const char *content);
void chat_expect(const char *text, const char *content);

/* The stream fails like this, and takes nothing more. */
void chat_expect_failure(
    const char *text, const char *type, const char *message, int retryable);

#endif
