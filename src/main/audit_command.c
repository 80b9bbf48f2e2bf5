/* SPDX-License-Identifier: MIT */
/* agent-fpm audit: is the log of who did what as it was written? */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/err.h"
#include "conf/conf.h"
#include "main/audit_command.h"
#include "store/audit.h"
#include "store/script.h"
#include "store/store.h"

/* Each line that is no record is told; how many there are, or -1. */
static int64_t
check_file(struct audit_check *k, const char *path, struct err *err)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	int64_t number = 0, bad = 0;
	size_t room = 0;
	ssize_t n;

	if (f == NULL)
		return err_set(err, ERR_USAGE, "%s: %s", path, strerror(errno));
	while ((n = getline(&line, &room, f)) > 0) {
		number++;
		if (line[n - 1] == '\n')
			n--;
		if (audit_check_add(k, line, (size_t)n, err) == 0)
			continue;
		printf("line %" PRId64 ": %s\n", number, err->text);
		bad++;
	}
	free(line);
	fclose(f);
	return bad;
}

static int64_t
check_stream(struct audit_check *k, const struct conf *c, struct err *err)
{
	struct store *st;
	int rc;

	script_init();
	st = store_new(c);
	rc = audit_check_stream(k, st, err);
	store_free(&st);
	if (rc == 0 || err->code == ERR_STORE)
		return rc;
	printf("%s\n", err->text);
	return 1;
}

/* Says what became of each chain; how many are not good. */
static int64_t
report(struct audit_check *k)
{
	struct audit_chain chain;
	int64_t bad = 0;

	while (audit_check_next(k, &chain)) {
		printf("%s: %" PRId64 " to %" PRId64 ", %s%s", chain.chain,
		    chain.first, chain.last,
		    chain.fault[0] == '\0' ? "good" : chain.fault,
		    chain.first > 1 ? "; older ones are not there" : "");
		if (chain.lost > 0)
			printf(
			    "; %" PRId64 " could not be written", chain.lost);
		if (chain.doubles > 0)
			printf("; %" PRId64 " written again", chain.doubles);
		printf("\n");
		bad += chain.fault[0] != '\0';
	}
	return bad;
}

int
audit_command(const struct conf *c, int argc, char **argv)
{
	struct audit_check *k;
	struct err err;
	int64_t bad;

	if (argc < 2 || argc > 3 || strcmp(argv[1], "verify") != 0)
		return -1;
	k = audit_check_new();
	bad =
	    argc == 3 ? check_file(k, argv[2], &err) : check_stream(k, c, &err);
	if (bad >= 0)
		bad += report(k);
	audit_check_free(&k);
	if (bad < 0) {
		fprintf(stderr, "agent-fpm: %s\n", err.text);
		return err_info(err.code)->exit_code;
	}
	return bad > 0 ? EX_DATAERR : EX_OK;
}
