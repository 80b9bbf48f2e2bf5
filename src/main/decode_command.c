/* SPDX-License-Identifier: MIT */
/* agent-fpm decode: how an answer of a provider is understood. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/err.h"
#include "main/decode_command.h"
#include "model/decode.h"
#include "model/profile.h"

#define FILE_MAX_BYTES (256 * 1024 * 1024)

struct decode_options {
	enum model_api api;
	const char *provider;
	unsigned quirks;
	const char *file;
};

/* "openai" is what people call it. */
static enum model_api
api_find(const char *name)
{
	return model_api_find(
	    strcmp(name, "openai") == 0 ? "openai-chat" : name);
}

static int
take_provider(struct decode_options *o, const char *name)
{
	const struct model_profile *p = profile_find(name);

	o->provider = name;
	if (p == NULL)
		return 0; /* any name will do: it is shown */
	if (o->api == MODEL_APIS)
		o->api = p->api;
	o->quirks |= p->quirks;
	return 0;
}

static int
take_quirks(struct decode_options *o, const char *words)
{
	struct err err;

	if (profile_quirks(words, &o->quirks, &err) == 0)
		return 0;
	fprintf(stderr, "agent-fpm: %s\n", err.text);
	return -1;
}

/* 0 or -1. */
static int
options_read(struct decode_options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "api", required_argument, NULL, 'a' },
		{ "provider", required_argument, NULL, 'p' },
		{ "quirks", required_argument, NULL, 'q' },
		{ NULL, 0, NULL, 0 },
	};
	int opt, rc = 0;

	optind = 1;
	while (rc == 0 &&
	       (opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'a')
			o->api = api_find(optarg);
		if (opt == 'a' && o->api == MODEL_APIS) {
			fprintf(stderr, "agent-fpm: there is no API \"%s\"\n",
			    optarg);
			rc = -1;
		} else if (opt == 'p') {
			rc = take_provider(o, optarg);
		} else if (opt == 'q') {
			rc = take_quirks(o, optarg);
		} else if (opt == '?') {
			rc = -1;
		}
	}
	if (rc < 0 || optind + 1 != argc || o->api == MODEL_APIS)
		return -1;
	o->file = argv[optind];
	return 0;
}

/* A file, or with "-" the standard input, in pieces as they come. */
static int
feed_file(struct model_decode *d, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
	char piece[16384];
	size_t n;
	int bad;

	if (f == NULL)
		return -1;
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		model_decode_feed(d, piece, n, NULL);
	model_decode_finish(d, NULL);
	bad = ferror(f);
	if (f != stdin)
		fclose(f);
	return bad ? -1 : 0;
}

/* The name of a file, without folder and what stands behind the last dot. */
static void
stem(const char *path, char *out, size_t size)
{
	const char *base = strrchr(path, '/'), *dot;

	base = base == NULL ? path : base + 1;
	dot = strrchr(base, '.');
	snprintf(out, size, "%.*s",
	    (int)(dot == NULL || dot == base ? strlen(base)
					     : (size_t)(dot - base)),
	    base);
}

int
decode_command(int argc, char **argv)
{
	static const struct model_bounds bounds = { FILE_MAX_BYTES,
		FILE_MAX_BYTES };
	struct decode_options o = { .api = MODEL_APIS };
	struct model_decode *d;
	const struct model_result *r;
	struct buf out;
	char name[256];
	int rc;

	if (options_read(&o, argc, argv) < 0)
		return -1;
	d = model_decode_new(o.api, o.quirks, NULL, NULL, &bounds);
	model_decode_keep_raw(d);
	if (feed_file(d, o.file) < 0) {
		fprintf(stderr, "agent-fpm: %s: %s\n", o.file, strerror(errno));
		model_decode_free(&d);
		return EX_NOINPUT;
	}
	stem(o.file, name, sizeof(name));
	buf_init(&out, NULL);
	model_decode_print(&out, d,
	    o.provider == NULL ? model_api_name(o.api) : o.provider, name);
	puts(buf_str(&out));
	buf_fini(&out);
	r = model_decode_result(d);
	if (r->failure.failed && !r->failure.said)
		fprintf(stderr, "agent-fpm: %s\n", r->failure.message);
	rc = r->failure.failed ? EX_DATAERR : EX_OK;
	model_decode_free(&d);
	return rc;
}
