/* SPDX-License-Identifier: MIT */
/* Secrets, keys, skills and templates that a worker would need: parts.h. */
#include "config.h"

#include <string.h>

#include "agent/slowlog.h"
#include "agent/templates.h"
#include "auth/identity.h"
#include "auth/keyring.h"
#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "doctor/parts.h"
#include "model/call.h"
#include "net/address.h"
#include "net/otlp.h"
#include "net/webhook.h"
#include "sandbox/client.h"
#include "store/audit.h"
#include "tool/skills.h"
#include "tool/tool.h"

static int
check_tokens(const struct conf *c, struct buf *seen, struct err *err)
{
	struct keyring *r = keyring_new(c, err);
	size_t n;

	if (r == NULL)
		return -1;
	n = keyring_count(r);
	buf_printf(
	    seen, "%zu key%s to check tokens with", n, n == 1 ? "" : "s");
	n = keyring_api_keys(r);
	if (n > 0)
		buf_printf(seen, ", %zu API key%s", n, n == 1 ? "" : "s");
	keyring_free(&r);
	return 0;
}

/* Templates, and what they use. */
static int
check_uses(const struct conf *c, const struct templates *t, struct buf *seen,
    struct err *err)
{
	struct webhooks *hooks =
	    webhooks_new(NULL, c, templates_call_out(t), err);
	size_t n = 0;

	if (hooks == NULL)
		return -1;
	webhooks_free(&hooks);
	while (templates_at(t, n) != NULL)
		n++;
	buf_printf(seen, "%zu in %s", n, c->templates);
	return 0;
}

static int
check_templates(const struct conf *c, struct buf *seen, struct err *err)
{
	struct skills *skills = skills_load(c->skills, err);
	struct templates *t;
	int rc = -1;

	if (skills == NULL)
		return -1;
	tools_init(sandbox_is_configured(c));
	t = templates_load(c->templates, skills, err);
	tools_fini();
	if (t != NULL)
		rc = templates_check_models(t, c, err);
	if (rc == 0)
		rc = check_uses(c, t, seen, err);
	if (rc == 0)
		buf_printf(seen, ", %zu skills in %s", skills_all(skills).count,
		    c->skills);
	templates_free(&t);
	skills_free(&skills);
	return rc;
}

/* Each with its provider, URL and key. */
static int
check_models(const struct conf *c, struct buf *seen, struct err *err)
{
	struct models *m = models_new(NULL, NULL, c, err);

	if (m == NULL)
		return -1;
	for (size_t i = 0; models_at(m, i) != NULL; i++)
		buf_printf(seen, "%s%s by %s", i > 0 ? ", " : "",
		    model_conf(models_at(m, i))->label,
		    model_provider(models_at(m, i)));
	models_free(&m);
	return 0;
}

static int
check_sandbox(const struct conf *c, struct buf *seen, struct err *err)
{
	struct sandbox *s;

	if (sandbox_new(NULL, NULL, c, &s, err) < 0)
		return -1;
	buf_puts(seen, s == NULL ? "there is none" : "they are good");
	sandbox_free(&s);
	return 0;
}

static int
check_status(const struct conf *c, struct buf *seen, struct err *err)
{
	struct networks *n = networks_parse(c->status_allow, err);

	if (n == NULL)
		return err_prefix(err, "status.allow");
	networks_free(&n);
	buf_printf(seen, "/metrics and /status are for %s%s",
	    *c->status_allow == '\0' ? "no address" : c->status_allow,
	    *c->admin_role == '\0' ? "" : ", and for admin.role");
	return 0;
}

static int
check_bridge_user(const struct conf *c, struct buf *seen, struct err *err)
{
	static const char *const who[] = { "whoever has a token",
		"whoever has a token, and others as ", "everybody, as " };
	const char *user = c->bridge_anonymous_user;
	size_t n = strlen(user);

	for (const char *p = user; *p != '\0'; p++)
		if (*p < 0x21 || *p > 0x7e)
			n = 0;
	if (n == 0 || n > IDENTITY_USER_MAX_BYTES)
		return err_set(err, ERR_CONFIG,
		    "bridge.anonymous_user is not 1 to %d printable ASCII "
		    "characters without spaces",
		    IDENTITY_USER_MAX_BYTES);
	buf_printf(seen, "sessions are for %s%s", who[c->bridge_auth],
	    c->bridge_auth == CONF_BRIDGE_REQUIRED ? "" : user);
	return 0;
}

static int
check_slowlog(const struct conf *c, struct buf *seen, struct err *err)
{
	if (slowlog_check(c, err) < 0)
		return -1;
	buf_puts(seen,
	    *c->slowlog_file == '\0' ? "beside the log" : c->slowlog_file);
	return 0;
}

static int
check_audit(const struct conf *c, struct buf *seen, struct err *err)
{
	if (audit_file_check(c->audit_file, err) < 0)
		return -1;
	if (*c->audit_file != '\0')
		buf_puts(seen, c->audit_file);
	else
		buf_puts(seen, c->audit_keep > 0 ? "none: it is in Redis alone"
						 : "there is no audit log");
	return 0;
}

static int
check_otlp(const struct conf *c, struct buf *seen, struct err *err)
{
	struct otlp *o;

	if (otlp_new(NULL, NULL, c, &o, err) < 0)
		return -1;
	buf_printf(seen, "traces go %s", o == NULL ? "nowhere" : c->otlp_url);
	otlp_free(&o);
	return 0;
}

static const struct part parts[] = {
	{ "tokens", check_tokens },
	{ "templates", check_templates },
	{ "sandbox.settings", check_sandbox },
	{ "status.allow", check_status },
	{ "bridge.auth", check_bridge_user },
	{ "slowlog.file", check_slowlog },
	{ "audit.file", check_audit },
	{ "otlp", check_otlp },
	{ "model.key", check_models },
};

const struct part *
part_at(size_t i)
{
	return i < sizeof(parts) / sizeof(parts[0]) ? &parts[i] : NULL;
}

int
parts_check(const struct conf *c, struct err *err)
{
	const struct part *p;
	struct buf seen;
	int rc = 0;

	buf_init(&seen, NULL);
	for (size_t i = 0; rc == 0 && (p = part_at(i)) != NULL; i++)
		rc = p->check(c, &seen, err);
	buf_fini(&seen);
	return rc;
}
