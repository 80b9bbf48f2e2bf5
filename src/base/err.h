/* SPDX-License-Identifier: MIT */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/*
 * What went wrong, said once: a code, which decides the HTTP status and the
 * exit code, and a text for people. Functions that can fail return -1 and
 * take a struct err * last.
 */
enum err_code {
	ERR_NONE,
	ERR_INTERNAL,       /* a bug, or the host's fault */
	ERR_REQUEST,        /* malformed request */
	ERR_UNAUTHORIZED,   /* no token, or one that is not accepted */
	ERR_FORBIDDEN,      /* not yours, or not there: the same answer */
	ERR_NOT_FOUND,      /* no such resource or route */
	ERR_METHOD,         /* the resource does not know the method */
	ERR_NOT_ACCEPTABLE, /* no representation that was asked for */
	ERR_CONFLICT,       /* the agent is busy, or the state forbids it */
	ERR_PRECONDITION,   /* If-Match did not */
	ERR_TOO_LARGE,      /* body or header over its bound */
	ERR_MEDIA_TYPE,     /* the body is not JSON */
	ERR_INVALID,        /* well-formed, but a member is not valid */
	ERR_LIMIT,          /* the caller's own limit */
	ERR_OVERLOAD,       /* the server's limit */
	ERR_STORE,          /* Redis refused, or is not reached */
	ERR_UNCERTAIN,      /* a write was sent and not answered */
	ERR_FENCED,         /* another holder has the lease now */
	ERR_MODEL,          /* the provider failed */
	ERR_TIMEOUT,        /* a deadline passed */
	ERR_CANCELLED,      /* somebody stopped it */
	ERR_CONFIG,         /* the configuration is wrong */
	ERR_USAGE,          /* the command line is wrong */
	ERR_COUNT
};

struct err {
	enum err_code code;
	int retry_after_s; /* 0: not said */
	char limit[40];    /* the setting whose bound was met, or "" */
	char text[400];
};

/* What a code means to the outside. */
struct err_info {
	int http_status;
	int exit_code;     /* sysexits(3) */
	const char *title; /* for a problem document, RFC 9457 */
	const char *type;  /* last part of its type URI */
};

/* Fills err (NULL is allowed) and returns -1. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, for a bound: limit is the name of the setting. */
int err_limit(struct err *err, enum err_code code, const char *limit,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Puts "text: " before what err says. Returns -1. */
int err_prefix(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

void err_clear(struct err *err);

const struct err_info *err_info(enum err_code code);

#endif
