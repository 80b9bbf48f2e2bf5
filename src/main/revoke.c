/* SPDX-License-Identifier: MIT */
/* agent-fpm token revoke: from now on, tokens are good no longer. */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/err.h"
#include "conf/conf.h"
#include "main/revoke.h"
#include "main/token.h"
#include "store/audit.h"
#include "store/revoked.h"
#include "store/script.h"
#include "store/store.h"

#define KEEP_S (365 * INT64_C(86400))

struct revoke {
	const char *jti, *user;
	int64_t keep_s;
};

static int
parse(int argc, char **argv, struct revoke *r)
{
	static const struct option options[] = {
		{ "jti", required_argument, NULL, 'j' },
		{ "user", required_argument, NULL, 'u' },
		{ "for", required_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'j')
			r->jti = optarg;
		else if (opt == 'u')
			r->user = optarg;
		else if (opt == 'f')
			r->keep_s = token_parse_time(optarg);
		else
			return -1;
	}
	if (optind != argc || r->keep_s <= 0)
		return -1;
	return (r->jti == NULL) == (r->user == NULL) ? -1 : 0;
}

/* Who is at this host's command line did it. */
static void
audit(const struct conf *c, struct store *st, struct arena *a,
    const struct revoke *r)
{
	struct audit_record rec = {
		.act = "agent-fpm token revoke",
		.from = arena_printf(a, "uid %d", (int)getuid()),
		.what = r->jti != NULL ? "jti" : "user",
		.detail = r->jti != NULL ? r->jti : r->user,
	};
	struct audit *au = audit_new(c, st);

	audit_write(au, a, &rec);
	audit_free(&au);
}

int
revoke_command(const struct conf *c, int argc, char **argv)
{
	struct revoke r = { .keep_s = KEEP_S };
	struct store *st;
	struct arena *a;
	struct err err;
	int rc;

	if (parse(argc, argv, &r) < 0)
		return -1;
	script_init();
	a = arena_open(4096);
	st = store_new(c);
	if (r.jti != NULL)
		rc = revoked_add_token(st, a, r.jti, r.keep_s, &err);
	else
		rc = revoked_add_user(
		    st, a, r.user, clk_wall_ms() / 1000, r.keep_s, &err);
	if (rc == 0)
		audit(c, st, a, &r);
	if (rc < 0)
		fprintf(stderr, "agent-fpm: %s\n", err.text);
	store_free(&st);
	arena_close(&a);
	return rc < 0 ? err_info(err.code)->exit_code : EX_OK;
}
