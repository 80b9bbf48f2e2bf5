/* SPDX-License-Identifier: MIT */
#ifndef MODEL_FAILURE_H
#define MODEL_FAILURE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Why a call of a model failed, in the product's words: a class, of which
 * follows what is done about it. The table of policies is in failure.c.
 */
enum model_class {
	MODEL_CLASS_NONE,           /* it was not the model */
	MODEL_CLASS_RATE_LIMIT,     /* too often: later */
	MODEL_CLASS_OVERLOAD,       /* the provider has too much to do: later */
	MODEL_CLASS_QUOTA,          /* nothing is left: somebody must pay */
	MODEL_CLASS_AUTH,           /* the key, or what it may do */
	MODEL_CLASS_CONTEXT_LENGTH, /* the request is too long */
	MODEL_CLASS_INVALID_REQUEST,
	MODEL_CLASS_FILTER,   /* refused for what it says */
	MODEL_CLASS_SERVER,   /* the provider's fault */
	MODEL_CLASS_NETWORK,  /* no connection, or it broke */
	MODEL_CLASS_TIMEOUT,  /* ours or the provider's */
	MODEL_CLASS_PROTOCOL, /* the answer makes no sense, or is cut */
	MODEL_CLASSES
};

/* Whether another attempt may help, and what people are told. */
struct model_failure {
	int failed;
	enum model_class kind;
	int retryable;
	int retry_once;       /* a second attempt may help, a third will not */
	int rejected;         /* the request itself was not taken */
	int retry_after_ms;   /* what the provider asked for; 0: nothing */
	int said;             /* by the provider, in its stream or answer */
	int outside;          /* of the events of its stream */
	char type[64];        /* the provider's word, "" if it had none, or
				 ours: stream_cut, bad_event, too_large */
	char code[64];        /* the provider's second word; JSON, or "" */
	char message[300];    /* for people; bounded, never a key */
	char request_id[128]; /* the provider's, to ask it about; or "" */
};

/* An answer that is not 200: what decides whether to ask again. */
struct model_reply {
	int status;
	const char *body; /* any bytes; the caller bounds them */
	size_t len;
	const char *retry_after; /* header values, NULL where absent */
	const char *retry_after_ms;
	const char *should_retry; /* x-should-retry */
	int64_t now_s;            /* the wall clock, for a date */
};

/* "rate_limit", "overload" ...; "" for MODEL_CLASS_NONE. */
const char *model_class_name(enum model_class kind);

/*
 * A failure of that class that nobody said but we found, and our word for it.
 * Sets the rest of the policy; message and request_id stay.
 */
void model_failure_set(
    struct model_failure *f, enum model_class kind, const char *type);

/*
 * What an HTTP status other than 200 means. Takes JSON in the shapes of all
 * providers, HTML and text; fills *failure wholly. The class is that of the
 * words of the body, where they say more than the status, else that of the
 * status. Retried is by the class, but never 400, 401, 402, 403, 404, 413 and
 * 422, and as x-should-retry says; a delay is read only on 429 and 500 up,
 * of headers before the body, and is a day at most (spec/providers.md,
 * section 0, "Status handling"). request_id is the body's.
 */
void model_error_decode(
    const struct model_reply *reply, struct model_failure *failure);

/*
 * Hides a secret in the message, also if it was cut or if only its beginning
 * is there. secret may be a header, of which what follows the last space
 * counts; "" hides nothing.
 */
void model_failure_hide(struct model_failure *f, const char *secret);

#endif
