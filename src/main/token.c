/* SPDX-License-Identifier: MIT */
/* agent-fpm token: making and checking tokens with the pool's own keys. */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "api/app.h"
#include "auth/keyring.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "base/json.h"
#include "conf/conf.h"
#include "main/revoke.h"
#include "main/token.h"

#define DEFAULT_TTL_S 3600
#define CLAIMS_MAX 32
#define TOKEN_MAX 16384

struct mint {
	const char *sub;
	int64_t ttl_s;
	const char *claims[CLAIMS_MAX]; /* name=value */
	int claim_count;
};

static int
fail(const struct err *err)
{
	fprintf(stderr, "agent-fpm: %s\n", err->text);
	return err_info(err->code)->exit_code;
}

int64_t
token_parse_time(const char *text)
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 },
		{ "d", 86400 } };
	char *end;
	int64_t n = strtoll(text, &end, 10);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (end > text && n > 0 && n < INT32_MAX &&
		    strcmp(end, units[i].unit) == 0)
			return n * units[i].seconds;
	return -1;
}

/* name=value: JSON if value is JSON, otherwise a string. */
static void
add_claim(struct buf *b, struct arena *a, const char *claim)
{
	const char *value = strchr(claim, '=') + 1;
	char *name = arena_memdup(a, claim, (size_t)(value - 1 - claim));

	if (json_check(value, strlen(value), 16, NULL) == 0)
		json_add_raw(b, name, value, strlen(value));
	else
		json_add_str(b, name, value);
}

/* 1 if one of the given claims has this name. */
static int
has_claim(const struct mint *m, const char *name)
{
	size_t n = strlen(name);

	for (int i = 0; i < m->claim_count; i++)
		if (strncmp(m->claims[i], name, n) == 0 &&
		    m->claims[i][n] == '=')
			return 1;
	return 0;
}

static char *
claims_json(const struct conf *c, struct arena *a, const struct mint *m)
{
	int64_t now = clk_wall_ms() / 1000;
	char jti[ID_SIZE];
	struct buf b;

	buf_init(&b, a);
	buf_putc(&b, '{');
	if (!has_claim(m, c->jwt_user_claim))
		json_add_str(&b, c->jwt_user_claim, m->sub);
	if (strcmp(c->jwt_user_claim, "sub") != 0 && !has_claim(m, "sub"))
		json_add_str(&b, "sub", m->sub);
	if (!has_claim(m, "iat"))
		json_add_int(&b, "iat", now);
	if (!has_claim(m, "exp"))
		json_add_int(&b, "exp", now + m->ttl_s);
	if (*c->jwt_issuer != '\0' && !has_claim(m, "iss"))
		json_add_str(&b, "iss", c->jwt_issuer);
	if (*c->jwt_audience != '\0' && !has_claim(m, "aud"))
		json_add_str(&b, "aud", c->jwt_audience);
	if (!has_claim(m, "jti")) {
		id_make(jti, "");
		json_add_str(&b, "jti", jti);
	}
	for (int i = 0; i < m->claim_count; i++)
		add_claim(&b, a, m->claims[i]);
	buf_putc(&b, '}');
	return b.data;
}

static int
token_mint(struct app *app, struct arena *a, const struct mint *m)
{
	struct err err;
	char *token;

	if (keyring_mint(app->keyring, a, claims_json(app->conf, a, m), &token,
		&err) < 0)
		return fail(&err);
	puts(token);
	return EX_OK;
}

static int
parse_mint(int argc, char **argv, struct mint *m)
{
	static const struct option options[] = {
		{ "sub", required_argument, NULL, 's' },
		{ "ttl", required_argument, NULL, 't' },
		{ "claim", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (opt == 's')
			m->sub = optarg;
		else if (opt == 't')
			m->ttl_s = token_parse_time(optarg);
		else if (opt == 'c' && m->claim_count < CLAIMS_MAX &&
			 strchr(optarg, '=') != NULL)
			m->claims[m->claim_count++] = optarg;
		else
			return -1;
	}
	return optind == argc && m->sub != NULL && m->ttl_s > 0 ? 0 : -1;
}

static int
token_verify(struct app *app, struct arena *a, int64_t now_s)
{
	const struct json *claims;
	struct identity id;
	char token[TOKEN_MAX];
	struct buf out;
	struct err err;
	size_t n = fread(token, 1, sizeof(token), stdin);

	if (keyring_fetch(app->keyring, &err) < 0)
		fprintf(stderr, "agent-fpm: %s\n", err.text);

	if (n > 0 && token[n - 1] == '\n')
		n--; /* of the shell; any other byte belongs to the token */
	if (keyring_verify(
		app->keyring, a, token, n, now_s, &id, &claims, &err) < 0) {
		printf("refused: %s\n", err.text);
		return EX_NOPERM;
	}
	buf_init(&out, a);
	json_print(&out, claims);
	puts(out.data);
	return EX_OK;
}

static int
parse_verify(int argc, char **argv, int64_t *now_s)
{
	char *end;

	if (argc == 3 && strcmp(argv[1], "--now") == 0) {
		*now_s = strtoll(argv[2], &end, 10);
		return *end == '\0' ? 0 : -1;
	}
	return argc == 1 ? 0 : -1;
}

int
token_command(const struct conf *c, int argc, char **argv)
{
	struct arena *a = arena_open(16384);
	struct mint m = { .ttl_s = DEFAULT_TTL_S };
	int64_t now_s = clk_wall_ms() / 1000;
	int verify = argc > 1 && strcmp(argv[1], "verify") == 0, rc;
	struct app app;
	struct err err;

	if (argc > 1 && strcmp(argv[1], "revoke") == 0) {
		arena_close(&a);
		return revoke_command(c, argc - 1, argv + 1);
	}
	memset(&app, 0, sizeof(app));
	app.conf = c;
	if (verify && strcmp(argv[argc - 1], "-") == 0)
		rc = parse_verify(argc - 2, argv + 1, &now_s);
	else
		rc = verify ? -1 : parse_mint(argc, argv, &m);
	if (rc == 0 && app_auth_init(&app, c, &err) < 0)
		rc = fail(&err);
	else if (rc == 0)
		rc = verify ? token_verify(&app, a, now_s)
			    : token_mint(&app, a, &m);
	app_auth_fini(&app);
	arena_close(&a);
	return rc;
}
