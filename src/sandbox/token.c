/* SPDX-License-Identifier: MIT */
/* The token of the protocol over HTTP. */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "sandbox/token.h"

#define TOKEN_MIN 32
#define TOKEN_MAX 512

int
sandbox_token_read(const struct conf *c, struct buf *out, struct err *err)
{
	static const char good[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._~+/=";
	int rc = conf_secret(c, "sandbox.token", out, err);

	if (rc <= 0)
		return rc;
	if (out->len < TOKEN_MIN || out->len > TOKEN_MAX ||
	    strspn(out->data, good) != out->len)
		return err_set(err, ERR_CONFIG,
		    "sandbox.token: a token is %d to %d letters, digits or "
		    "-._~+/=; openssl rand -hex 32 makes one",
		    TOKEN_MIN, TOKEN_MAX);
	return 1;
}
