/* SPDX-License-Identifier: MIT */
/* Whether the issuers of tokens publish keys that can be used. */
#include "config.h"

#include "auth/keyring.h"
#include "base/err.h"
#include "conf/conf.h"
#include "doctor/doctor_priv.h"

void
check_issuers(struct doctor *d)
{
	struct keyring *r;
	struct err err;

	if (d->conf->issuer_count == 0)
		return;
	r = keyring_new(d->conf, &err);
	if (r == NULL)
		return; /* the check of the tokens says why */
	if (keyring_fetch(r, &err) < 0)
		doctor_say(d, DOCTOR_FAIL, "issuers",
		    "%s; look at its URLs, at DNS, firewall and proxy, and at "
		    "issuer.ca_file for a certificate of your own",
		    err.text);
	else
		doctor_say(d, DOCTOR_OK, "issuers",
		    "%zu, and %zu keys to check tokens with",
		    d->conf->issuer_count, keyring_count(r));
	keyring_free(&r);
}
