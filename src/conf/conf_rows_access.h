/* SPDX-License-Identifier: MIT */
/*
 * Rows of the table of settings: who may come in. conf_table.c includes them
 * in the table, which would be too long otherwise.
 */
/* clang-format off */
	STRING("jwt.secret_file", jwt_secret_file, "",
	    "File with the shared secret of HS256, HS384 or HS512 tokens, at "
	    "least 32, 48 or 64 bytes. Without it the credential jwt.secret "
	    "or the variable AGENT_FPM_JWT_SECRET is used. A file that "
	    "changes is read anew within a second; so are the following."),
	STRING("jwt.old_secret_file", jwt_old_secret_file, "",
	    "File with the secret that was in use before: tokens signed with "
	    "it are still good. Without it the credential jwt.old_secret or "
	    "the variable AGENT_FPM_JWT_OLD_SECRET is used."),
	CHOICE("jwt.secret_algorithm", jwt_secret_algorithm, "HS256",
	    "HS256 HS384 HS512",
	    "The one algorithm that these secrets are good for."),
	STRING("jwt.public_key_file", jwt_public_key_file, "",
	    "PEM file with the public keys, 8 at most, of an issuer that "
	    "signs with RSA "
	    "(RS256 or PS256, and so on), on a NIST curve (ES256, ES384, "
	    "ES512) or with Ed25519 (EdDSA)."),
	CHOICE("jwt.public_key_algorithm", jwt_public_key_algorithm, "auto",
	    "auto RS256 RS384 RS512 ES256 ES384 ES512 PS256 PS384 PS512 EdDSA",
	    "The one algorithm that the public keys are good for. auto: RS256, "
	    "what the curve says, or EdDSA."),
	STRING("jwt.jwks_file", jwt_jwks_file, "",
	    "File with a set of keys as JSON (JWKS, RFC 7517): public keys, or "
	    "secrets. Of keys with a kid the token's kid says which."),
	STRING("jwt.issuer", jwt_issuer, "",
	    "What the claim iss must be, exactly. Empty: not looked at."),
	STRING("jwt.audience", jwt_audience, "",
	    "What the claim aud must be or contain, exactly. Empty: not "
	    "looked at."),
	STRING("jwt.user_claim", jwt_user_claim, "sub",
	    "The claim that names the user: 1 to 255 printable ASCII "
	    "characters without spaces."),
	STRING("jwt.tenant_claim", jwt_tenant_claim, "tenant",
	    "The claim that names the user's tenant, if tokens have one: an "
	    "organisation whose members may decide for each other, see "
	    "approval.role."),
	STRING("jwt.roles_claim", jwt_roles_claim, "roles",
	    "The claim with the user's roles: a list, or words of a text."),
	CHOICE("jwt.scopes", jwt_scopes, "off", "off required",
	    "required: a token is good only for what its claim scope (or scp) "
	    "names, of agents:read, agents:write, chat, approvals, files:read "
	    "and files:write. docs/identity.md has what each is for."),
	NUMBER("jwt.leeway", SETTING_TIME, jwt_leeway_ms, "30s", 0, 600 * 1000,
	    "How far clocks may differ when exp, nbf and iat are checked."),
	NUMBER("jwt.cache", SETTING_INT, jwt_cache, "4096", 0, 1 << 20,
	    "Verified tokens that a worker remembers, by their SHA-256, for "
	    "at most a minute."),

	STRING("issuer.issuer", issuer.issuer, "",
	    "What the claim iss of its tokens is, exactly: usually a URL. Such "
	    "tokens are checked with its keys and no others."),
	STRING("issuer.audience", issuer.audience, "",
	    "What the claim aud must be or contain, exactly. * is any: then "
	    "tokens that were made for other services are good here."),
	STRING("issuer.jwks_url", issuer.jwks_url, "",
	    "Where it publishes its keys, https only. Empty, and no "
	    "issuer.jwks_file: it is asked at "
	    "ISSUER/.well-known/openid-configuration (OIDC discovery)."),
	STRING("issuer.jwks_file", issuer.jwks_file, "",
	    "File with its keys (JWKS), instead."),
	STRING("issuer.algorithms", issuer.algorithms,
	    "RS256 PS256 ES256 EdDSA",
	    "Algorithms, separated by spaces, whose keys are taken."),
	STRING("issuer.user_claim", issuer.user_claim, "sub",
	    "The claim that names the user."),
	STRING("issuer.user_prefix", issuer.user_prefix, "",
	    "What stands before that in the name of the user, and before a "
	    "tenant's, so that users of two issuers do not meet. Empty: the "
	    "section's NAME and a colon. none: nothing."),
	STRING("issuer.tenant_claim", issuer.tenant_claim, "",
	    "The claim that names the user's tenant. Empty: none."),
	STRING("issuer.roles_claim", issuer.roles_claim, "",
	    "The claim with the user's roles; realm_access.roles is a member "
	    "of a claim. Empty: its users have none."),
	STRING("issuer.ca_file", issuer.ca_file, "",
	    "File with the certificate authorities that are trusted for it. "
	    "Empty: the system's."),
	STRING("issuer.proxy", issuer.proxy, "",
	    "HTTP proxy on the way to it, as URL. Empty: what the environment "
	    "says. none: no proxy."),
	NUMBER("issuer.keep", SETTING_TIME, issuer.keep_ms, "24h", 60 * 1000,
	    30 * 24 * HOUR_MS,
	    "How long its last keys are good while it is not reached. Then "
	    "its tokens are refused."),

	STRING("api_key.hash", api_key.hash, "",
	    "Hash of the key, as agent-fpm apikey new prints it: "
	    "$scrypt$ln=N,r=N,p=N$SALT$HASH. The key itself is afk_NAME_ and "
	    "52 characters, and is kept nowhere."),
	STRING("api_key.user", api_key.user, "",
	    "The user whom the key stands for: 1 to 255 printable ASCII "
	    "characters without spaces."),
	STRING("api_key.tenant", api_key.tenant, "",
	    "The user's tenant. Empty: none."),
	STRING("api_key.roles", api_key.roles, "",
	    "The user's roles, separated by spaces, see approval.role, "
	    "budget.role and admin.role. Empty: none."),
	STRING("api_key.scopes", api_key.scopes, "",
	    "What the key is good for, separated by spaces, as of tokens, "
	    "whatever jwt.scopes says. Empty: with jwt.scopes = off all, "
	    "else nothing."),
	STRING("api_key.created", api_key.created, "",
	    "When it was made: 2026-11-21 or 2026-11-21T09:30:00Z. agent-fpm "
	    "token revoke --user makes keys worthless that were made before. "
	    "Empty: a long time ago."),
	STRING("api_key.expires", api_key.expires, "",
	    "Until when it is good, in the same form. Empty: for ever."),

	CHOICE("bridge.auth", bridge_auth, "required", "required optional off",
	    "Who may use the routes of sessions and of AgentBridge, and the "
	    "gateway. required: "
	    "whoever has a token or an API key. optional: who has none is "
	    "bridge.anonymous_user. off: everybody is, whatever they send. "
	    "The latter two are for old front ends on a network that is "
	    "trusted."),
	STRING("bridge.anonymous_user", bridge_anonymous_user, "anonymous",
	    "The user whom those without a token stand for: 1 to 255 printable "
	    "ASCII characters without spaces."),
	STRING("bridge.cors_origins", bridge_cors_origins, "*",
	    "Origins, separated by spaces, whose pages may call the routes of "
	    "sessions and of AgentBridge from a browser, with a token that they have. * is any. "
	    "Empty: only the site's own pages."),
	NUMBER("bridge.idle_timeout", SETTING_TIME, bridge_idle_timeout_ms,
	    "15m", 0, 30 * 24 * HOUR_MS,
	    "A session to which nothing was said for so long, and in which "
	    "nothing runs, is unloaded, and its background jobs end. 0: never."),
	NUMBER("bridge.sync_interval", SETTING_TIME, bridge_sync_interval_ms,
	    "30s", 0, HOUR_MS,
	    "What of a session's files may be lost if the sandbox's host is: "
	    "changes of this time. Within it they are saved in Redis, and put "
	    "back by a sandbox that does not have them. 0: only what was there "
	    "when the session was made is saved."),
	NUMBER("bridge.sync_files", SETTING_INT, bridge_sync_files, "1000", 1,
	    5000,
	    "How many files of a session are saved: the first in the order of "
	    "their paths. It is also how many it may be made with."),
	NUMBER("bridge.sync_file_size", SETTING_BYTES, bridge_sync_file_bytes,
	    "1m", 1, 16 * MIB,
	    "The largest file that is saved; larger ones are left out."),
	NUMBER("bridge.sync_size", SETTING_BYTES, bridge_sync_bytes, "16m", 1,
	    48 * MIB,
	    "How much of a session's files is saved in all; what is beyond is "
	    "left out."),
