/* SPDX-License-Identifier: MIT */
/* agent-fpm apikey: making, listing and revoking API keys. */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "auth/api_key.h"
#include "auth/api_keys.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "conf/conf.h"
#include "main/apikey_command.h"
#include "main/token.h"
#include "store/audit.h"
#include "store/revoked.h"
#include "store/script.h"
#include "store/store.h"

#define KEEP_S (20 * 365 * INT64_C(86400)) /* a key may be good for ever */
#define LINE_MAX_CHARS 198                 /* of a configuration */

static int
fail(const struct err *err)
{
	fprintf(stderr, "agent-fpm: %s\n", err->text);
	return err_info(err->code)->exit_code;
}

static const struct conf_api_key *
find(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->api_key_count; i++)
		if (strcmp(c->api_keys[i].label, name) == 0)
			return &c->api_keys[i];
	return NULL;
}

/* A time as the configuration has it. */
static const char *
date(struct arena *a, int64_t at_s)
{
	char text[32];
	time_t t = (time_t)at_s;
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	return arena_strdup(a, text);
}

/* ---- new ---- */

static void
add_word(struct arena *a, const char **words, const char *word)
{
	*words =
	    arena_printf(a, "%s%s%s", *words, **words == '\0' ? "" : " ", word);
}

/* A date, or a time from now on. */
static const char *
parse_expires(struct arena *a, const char *text)
{
	int64_t s = token_parse_time(text);

	if (s > 0)
		return date(a, clk_wall_ms() / 1000 + s);
	return api_key_time(text, &s) == 0 ? text : NULL;
}

/* The section that the words ask for. 0, or -1: they make no sense. */
static int
parse_new(struct arena *a, int argc, char **argv, struct conf_api_key *k)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' },
		{ "tenant", required_argument, NULL, 't' },
		{ "role", required_argument, NULL, 'r' },
		{ "scope", required_argument, NULL, 's' },
		{ "expires", required_argument, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	const char *user = NULL, *tenant = "", *roles = "", *scopes = "",
		   *expires = "";
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'u')
			user = optarg;
		else if (opt == 't')
			tenant = optarg;
		else if (opt == 'r')
			add_word(a, &roles, optarg);
		else if (opt == 's')
			add_word(a, &scopes, optarg);
		else if (opt != 'e' ||
			 (expires = parse_expires(a, optarg)) == NULL)
			return -1;
	}
	if (optind != argc - 1 || user == NULL)
		return -1;
	*k = (struct conf_api_key){ .label = argv[optind],
		.user = arena_strdup(a, user),
		.tenant = arena_strdup(a, tenant),
		.roles = arena_strdup(a, roles),
		.scopes = arena_strdup(a, scopes),
		.expires = arena_strdup(a, expires),
		.created = arena_strdup(a, date(a, clk_wall_ms() / 1000)) };
	return 0;
}

/* 0 if the section would be taken, with these settings beside it. */
static int
check(const struct conf *c, struct conf_api_key *k, struct err *err)
{
	struct conf with = *c;
	struct api_keys *keys;

	if (!conf_label_is_good(k->label) || strcmp(k->label, "default") == 0)
		return err_set(err, ERR_USAGE,
		    "a name has 1 to 63 letters, digits and ._:/-, and is not "
		    "default");
	if (find(c, k->label) != NULL)
		return err_set(err, ERR_USAGE,
		    "[api_key %s] is in the configuration already: take "
		    "another name, or remove that section first",
		    k->label);
	with.api_keys = k;
	with.api_key_count = 1;
	keys = api_keys_new(&with, err);
	if (keys == NULL)
		return -1;
	api_keys_free(&keys);
	return 0;
}

static int
add_line(struct buf *b, const char *name, const char *value, struct err *err)
{
	if (strlen(name) + 3 + strlen(value) > LINE_MAX_CHARS ||
	    strpbrk(value, ";\r\n") != NULL)
		return err_set(err, ERR_USAGE,
		    "the %s cannot stand in a line of the configuration", name);
	if (*value != '\0')
		buf_printf(b, "%s = %s\n", name, value);
	return 0;
}

static int
command_new(const struct conf *c, struct arena *a, int argc, char **argv)
{
	struct conf_api_key k;
	char key[API_KEY_SIZE];
	struct buf hash, section;
	struct err err;

	if (parse_new(a, argc, argv, &k) < 0)
		return -1;
	buf_init(&hash, a);
	buf_init(&section, a);
	if (conf_label_is_good(k.label)) {
		api_key_make(k.label, key);
		api_key_hash_make(&hash, key);
		k.hash = hash.data;
	}
	if (check(c, &k, &err) < 0 ||
	    add_line(&section, "hash", k.hash, &err) < 0 ||
	    add_line(&section, "user", k.user, &err) < 0 ||
	    add_line(&section, "tenant", k.tenant, &err) < 0 ||
	    add_line(&section, "roles", k.roles, &err) < 0 ||
	    add_line(&section, "scopes", k.scopes, &err) < 0 ||
	    add_line(&section, "created", k.created, &err) < 0 ||
	    add_line(&section, "expires", k.expires, &err) < 0)
		return fail(&err);
	printf("%s\n\n[api_key %s]\n%s", key, k.label, section.data);
	fprintf(stderr,
	    "The first line is the key: it is kept nowhere and cannot be "
	    "shown again. Put\nthe section into %s, then reload.\n",
	    c->file);
	return EX_OK;
}

/* ---- list ---- */

/* good, expired or revoked; NULL and err. */
static const char *
state_of(struct store *st, struct arena *a, const struct conf_api_key *k,
    struct err *err)
{
	int64_t expires = INT64_MAX, created = 0;
	char jti[API_KEY_JTI_SIZE];
	int rc;

	api_key_jti(k, jti);
	if (*k->created != '\0')
		api_key_time(k->created, &created);
	if (*k->expires != '\0')
		api_key_time(k->expires, &expires);
	rc = revoked_find(st, a, k->user, jti, created, err);
	if (rc < 0)
		return NULL;
	if (rc > 0)
		return "revoked";
	return clk_wall_ms() / 1000 >= expires ? "expired" : "good";
}

static int
command_list(const struct conf *c, struct arena *a, int argc)
{
	struct store *st;
	const char *state = "";
	struct api_keys *keys;
	struct err err;

	if (argc != 1)
		return -1;
	keys = api_keys_new(c, &err); /* are they good ones */
	if (keys == NULL)
		return fail(&err);
	api_keys_free(&keys);
	st = store_new(c);
	for (size_t i = 0; i < c->api_key_count && state != NULL; i++) {
		const struct conf_api_key *k = &c->api_keys[i];

		state = state_of(st, a, k, &err);
		if (state != NULL)
			printf("%s\t%s\t%s\t%s\t%s\n", k->label, k->user, state,
			    *k->expires == '\0' ? "-" : k->expires,
			    *k->scopes == '\0' ? "-" : k->scopes);
	}
	store_free(&st);
	return state == NULL ? fail(&err) : EX_OK;
}

/* ---- revoke ---- */

/* Who is at this host's command line did it. */
static void
audit(const struct conf *c, struct store *st, struct arena *a, const char *jti)
{
	struct audit_record rec = {
		.act = "agent-fpm apikey revoke",
		.from = arena_printf(a, "uid %d", (int)getuid()),
		.what = "jti",
		.detail = jti,
	};
	struct audit *au = audit_new(c, st);

	audit_write(au, a, &rec);
	audit_free(&au);
}

static int
command_revoke(const struct conf *c, struct arena *a, int argc, char **argv)
{
	const struct conf_api_key *k;
	char jti[API_KEY_JTI_SIZE];
	struct store *st;
	struct err err;
	int rc;

	if (argc != 2)
		return -1;
	k = find(c, argv[1]);
	if (k == NULL) {
		err_set(&err, ERR_USAGE,
		    "there is no section [api_key %s] in %s", argv[1], c->file);
		return fail(&err);
	}
	api_key_jti(k, jti);
	st = store_new(c);
	rc = revoked_add_token(st, a, jti, KEEP_S, &err);
	if (rc == 0)
		audit(c, st, a, jti);
	store_free(&st);
	if (rc < 0)
		return fail(&err);
	printf("%s is worthless from now on; remove [api_key %s] from %s\n",
	    argv[1], argv[1], c->file);
	return EX_OK;
}

int
apikey_command(const struct conf *c, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct arena *a = arena_open(4096);
	int rc = -1;

	script_init();
	if (strcmp(what, "new") == 0)
		rc = command_new(c, a, argc - 1, argv + 1);
	else if (strcmp(what, "list") == 0)
		rc = command_list(c, a, argc - 1);
	else if (strcmp(what, "revoke") == 0)
		rc = command_revoke(c, a, argc - 1, argv + 1);
	arena_close(&a);
	return rc;
}
