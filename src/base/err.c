/* SPDX-License-Identifier: MIT */
/*
 * Errors are values. The table below is the only place that knows which HTTP
 * status and which exit code an error has.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/err.h"
#include "base/json.h"

static const struct err_info infos[ERR_COUNT] = {
	[ERR_NONE] = { 200, EX_OK, "OK", "ok" },
	[ERR_INTERNAL] = { 500, EX_SOFTWARE, "Internal error", "internal" },
	[ERR_REQUEST] = { 400, EX_DATAERR, "Bad request", "bad-request" },
	[ERR_UNAUTHORIZED] = { 401, EX_NOPERM, "Unauthorized", "unauthorized" },
	[ERR_FORBIDDEN] = { 403, EX_NOPERM, "Forbidden", "forbidden" },
	[ERR_NOT_FOUND] = { 404, EX_UNAVAILABLE, "Not found", "not-found" },
	[ERR_METHOD] = { 405, EX_USAGE, "Method not allowed",
	    "method-not-allowed" },
	[ERR_NOT_ACCEPTABLE] = { 406, EX_USAGE, "Not acceptable",
	    "not-acceptable" },
	[ERR_CONFLICT] = { 409, EX_TEMPFAIL, "Conflict", "conflict" },
	[ERR_PRECONDITION] = { 412, EX_TEMPFAIL, "Precondition failed",
	    "precondition-failed" },
	[ERR_TOO_LARGE] = { 413, EX_DATAERR, "Content too large", "too-large" },
	[ERR_MEDIA_TYPE] = { 415, EX_DATAERR, "Unsupported media type",
	    "unsupported-media-type" },
	[ERR_INVALID] = { 422, EX_DATAERR, "Invalid content", "invalid" },
	[ERR_LIMIT] = { 429, EX_TEMPFAIL, "Too many requests", "limit" },
	[ERR_OVERLOAD] = { 503, EX_TEMPFAIL, "Overloaded", "overload" },
	[ERR_STORE] = { 503, EX_UNAVAILABLE, "Store unavailable", "store" },
	[ERR_UNCERTAIN] = { 503, EX_TEMPFAIL, "Outcome unknown", "uncertain" },
	[ERR_FENCED] = { 409, EX_TEMPFAIL, "Lease lost", "fenced" },
	[ERR_MODEL] = { 502, EX_UNAVAILABLE, "Model failed", "model" },
	[ERR_TIMEOUT] = { 504, EX_TEMPFAIL, "Timed out", "timeout" },
	[ERR_CANCELLED] = { 409, EX_TEMPFAIL, "Cancelled", "cancelled" },
	[ERR_CONFIG] = { 500, EX_CONFIG, "Configuration error", "config" },
	[ERR_USAGE] = { 400, EX_USAGE, "Usage error", "usage" },
};

__attribute__((format(printf, 4, 0))) static void
err_fill(struct err *err, enum err_code code, const char *limit,
    const char *fmt, va_list ap)
{
	err->code = code;
	err->retry_after_s = 0;
	snprintf(err->limit, sizeof(err->limit), "%s", limit);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	json_utf8_mend(err->text);
}

int
err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (err != NULL) {
		va_start(ap, fmt);
		err_fill(err, code, "", fmt, ap);
		va_end(ap);
	}
	return -1;
}

int
err_limit(struct err *err, enum err_code code, const char *limit,
    const char *fmt, ...)
{
	va_list ap;

	if (err != NULL) {
		va_start(ap, fmt);
		err_fill(err, code, limit, fmt, ap);
		va_end(ap);
		err->retry_after_s = 1;
	}
	return -1;
}

int
err_prefix(struct err *err, const char *fmt, ...)
{
	char old[sizeof(err->text)];
	va_list ap;
	size_t n;

	if (err == NULL)
		return -1;
	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", old);
	return -1;
}

void
err_clear(struct err *err)
{
	memset(err, 0, sizeof(*err));
}

const struct err_info *
err_info(enum err_code code)
{
	return &infos[code];
}
