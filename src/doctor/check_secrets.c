/* SPDX-License-Identifier: MIT */
/*
 * Who else may read the files of secrets, or write those that say whom to
 * trust: their modes. What of systemd's credentials, which have no setting, is
 * of no concern: they are their user's alone.
 */
#include "config.h"

#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/conf.h"
#include "doctor/doctor_priv.h"

#define FILE_OF(name, field, secret)                                           \
	{                                                                      \
		name, offsetof(struct conf, field), secret                     \
	}

static const struct {
	const char *setting;
	size_t offset;
	int is_secret; /* else it may be read by all */
} files[] = {
	FILE_OF("jwt.secret_file", jwt_secret_file, 1),
	FILE_OF("jwt.old_secret_file", jwt_old_secret_file, 1),
	FILE_OF("jwt.public_key_file", jwt_public_key_file, 0),
	FILE_OF("jwt.jwks_file", jwt_jwks_file, 0),
	FILE_OF("store.password_file", store_password_file, 1),
	FILE_OF("model.api_key_file", model.api_key_file, 1),
	FILE_OF("tool.secret_file", tool_secret_file, 1),
	FILE_OF("sandbox.token_file", sandbox_token_file, 1),
	FILE_OF("sandbox.key_file", sandbox_key_file, 1),
	FILE_OF("otlp.headers_file", otlp_headers_file, 1),
};

/* What was looked at. */
struct seen {
	int files, open;
};

/* One that is not there is said by who needs it. */
static void
look(struct doctor *d, struct seen *seen, const char *setting, const char *path,
    int is_secret)
{
	struct stat st;

	if (*path == '\0' || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	seen->files++;
	seen->open +=
	    (st.st_mode & (is_secret ? S_IWOTH | S_IROTH : S_IWOTH)) != 0;
	if (st.st_mode & S_IWOTH)
		doctor_say(d, DOCTOR_FAIL, "secrets",
		    "%s: every user of this host may write %s, mode %04o: "
		    "chmod %s it, and put another %s there",
		    setting, path, (unsigned)st.st_mode & 07777,
		    is_secret ? "o-rwx" : "o-w", is_secret ? "secret" : "key");
	else if (is_secret && (st.st_mode & S_IROTH))
		doctor_say(d, DOCTOR_WARN, "secrets",
		    "%s: every user of this host may read %s, mode %04o: "
		    "chmod o-rwx it, and put another secret there",
		    setting, path, (unsigned)st.st_mode & 07777);
}

void
check_secrets(struct doctor *d)
{
	const struct conf *c = d->conf;
	const char *key;
	struct seen seen = { 0 };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		look(d, &seen, files[i].setting,
		    *(char *const *)((const char *)c + files[i].offset),
		    files[i].is_secret);
	for (size_t i = 0; i < c->model_count; i++) {
		key = c->models[i].api_key_file;
		if (strcmp(key, c->model.api_key_file) != 0)
			look(d, &seen, "model.api_key_file", key, 1);
	}
	for (size_t i = 0; i < c->issuer_count; i++)
		look(d, &seen, "issuer.jwks_file", c->issuers[i].jwks_file, 0);
	if (seen.open == 0)
		doctor_say(d, DOCTOR_OK, "secrets",
		    "of %d files none is open to all users of this host",
		    seen.files);
}
