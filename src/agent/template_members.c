/* SPDX-License-Identifier: MIT */
/* Members of the objects in templates. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "agent/template_members.h"
#include "base/json.h"
#include "net/webhook.h"

int
template_names(const struct json *j, const char *const *names, struct err *err)
{
	const char *const *n;

	if (!json_is(j, JSON_OBJECT))
		return err_set(err, ERR_CONFIG, "is not a JSON object");
	for (const struct json *m = json_first(j); m != NULL;
	     m = json_next(m)) {
		for (n = names; *n != NULL; n++)
			if (strcmp(*n, json_name(m)) == 0)
				break;
		if (*n == NULL)
			return err_set(err, ERR_CONFIG,
			    "there is no member \"%.60s\"", json_name(m));
	}
	return 0;
}

int
template_str(
    const struct json *j, const char *name, const char **out, struct err *err)
{
	const struct json *m = json_get(j, name);

	*out = "";
	if (m == NULL)
		return 0;
	*out = json_str(m);
	return *out != NULL
		   ? 1
		   : err_set(err, ERR_CONFIG, "%s is not a text", name);
}

int
template_int(const struct json *j, const char *name, int64_t max, int64_t *out,
    struct err *err)
{
	if (json_get(j, name) == NULL)
		return 0;
	if (!json_get_int(j, name, out) || *out < 1 || *out > max)
		return err_set(err, ERR_CONFIG,
		    "%s is a number from 1 to %" PRId64, name, max);
	return 0;
}

int
template_url(const struct json *j, const char **out, struct err *err)
{
	if (template_str(j, "url", out, err) < 0)
		return -1;
	if (webhook_url_check(*out, err) < 0)
		return err_prefix(err, "url");
	return 0;
}
