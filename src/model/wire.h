/* SPDX-License-Identifier: MIT */
#ifndef MODEL_WIRE_H
#define MODEL_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

struct arena;
struct buf;
struct json;

/*
 * A request as an API wants it. A conversation is a text that only grows: each
 * message of the history is appended once, in the API's form, when it comes
 * into being or is loaded. A request is that text with the rest of the body
 * behind it, and for that nothing of a long history is copied. One thread at
 * a time; nothing here blocks.
 */

/* What a text of messages needs to know when the next one comes. */
#define WIRE_CUTS_MAX 64
struct wire_text {
	struct buf *out;
	int64_t shown; /* entries of the API's list in out */

	/* Where in out the entry begins whose calls have no results yet; 0:
	 * there is none. */
	size_t calls_at;

	/* What the wire must know of the round that runs: the answers since
	 * the user spoke. Of the wire's own words; 0 at the beginning. */
	unsigned round;

	/* The rest is there for wires that say so (keeps). */
	int cut_count; /* of either */
	union {
		/* Members of this round (since the user spoke) that the
		 * provider does not want back in the next one: from, to in
		 * out; in order. */
		struct wire_cut {
			size_t from, to;
		} cuts[WIRE_CUTS_MAX];

		/* Calls of the last message that the provider has given an id
		 * of its own: where in out that is, as a string. */
		struct wire_call {
			uint64_t id; /* of ours, a hash */
			size_t at;
		} calls[WIRE_CUTS_MAX];
	};
};

/*
 * A message of the history: {"role":R,"content":C}, neutral. R is user or
 * assistant; C a text, or blocks in the form of Anthropic's: text (with
 * "refusal":true for one), thinking, image and document with a source of
 * base64, tool_use, tool_result whose content is a text or blocks, and
 * {"type":"native"}, the provider's own. Any of them may have "native", the
 * provider's form beside it.
 */
struct wire_message {
	const char *text; /* that document */
	size_t len;
	const struct json *doc;   /* the same, parsed; or NULL, see parses */
	const struct json *calls; /* {"CALL ID":"NAME"...} of its results */
	int own; /* the same model made it, or the user: native forms go back */
};

/* What a model is, as far as a request shows it; from its configuration. */
struct wire_model {
	const char *id;
	unsigned quirks;    /* of enum model_quirk */
	int64_t max_tokens; /* of an answer; 0: not said */
	int64_t thinking;   /* tokens to think; 0: not asked for */
	const char *effort; /* low, medium, high ...; "" not said */
	const char
	    *members; /* more members of the body: a JSON object, or "" */
	int cache_markers;
};

/* What stands behind the messages. Strings are never NULL. */
struct wire_request {
	const struct wire_model *model;
	const char *system;
	const char *tools;       /* as tools() made them, or "" */
	const char *tool_choice; /* "" (the provider's default), auto, none,
				    any, or the name of a tool after '=' */
	const char *schema;      /* of the answer: a JSON schema, or "" */
	const char *extra;       /* text behind the last message, or "" */
};

struct model_wire {
	const char *start; /* of a text: up to the first message; at least
			      MODEL_TAIL bytes */
	int parses;        /* add needs doc, whoever made the message */
	int keeps;         /* all of struct wire_text */

	/*
	 * Appends a message (with commas, and as many entries of the API's
	 * list as it takes). What the API cannot take back is left out; a
	 * message of which nothing is left adds nothing.
	 */
	void (*add)(struct wire_text *t, const struct wire_model *model,
	    const struct wire_message *m);

	/*
	 * Before add, where t has cuts: takes them out if the message begins
	 * a round. That stays so when the message is taken back, which is why
	 * add does not do it. NULL: there are never any.
	 */
	void (*cut)(struct wire_text *t, const struct wire_model *model,
	    const struct wire_message *m);

	/*
	 * What of the body stands before the text; t is as finish gets it.
	 * NULL: nothing does.
	 */
	void (*head)(struct buf *out, const struct wire_text *t,
	    const struct wire_request *rq);

	/*
	 * Appends all that follows the messages: the body is whole then.
	 * What it changes of the text before is within the last MODEL_TAIL
	 * bytes of it.
	 */
	void (*finish)(struct wire_text *t, const struct wire_request *rq);

	/* The tools in the API's form, from [{"name","description",
	 * "input_schema"}...]: a JSON value without the member's name. */
	void (*tools)(struct buf *out, const char *tools, unsigned quirks);
};

/* The wire of an API. */
const struct model_wire *model_wire(enum model_api api);

/* A comma, unless the next entry is the first. */
void wire_entry(struct wire_text *t);

/* Behind the last member: those of a JSON object's text, or of "" none. */
void wire_members(struct buf *b, const char *members);

extern const struct model_wire wire_anthropic;
extern const struct model_wire wire_chat;
extern const struct model_wire wire_responses;
extern const struct model_wire wire_gemini;

#endif
