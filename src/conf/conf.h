/* SPDX-License-Identifier: MIT */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define CONF_DEFAULT_PATH CONFDIR "/agent-fpm.conf"

/* A model that agents may name. Prices are millionths of a unit of money per
 * million tokens; -1: not said. */
struct conf_model {
	char
	    *label; /* how agents call it: NAME of [model NAME], or "default" */
	char *provider, *url, *id;
	char *api_key_file;
	char *headers, *members;
	char *version;
	char *ca_file, *proxy;
	char *script;
	char *effort, *fallback;
	int64_t max_tokens, context_window;
	int64_t thinking;
	int64_t cache_markers;
	int64_t images, documents;
	int64_t retries;
	int64_t connect_timeout_ms, first_byte_timeout_ms;
	int64_t idle_timeout_ms, total_timeout_ms;
	int64_t breaker_failures, breaker_time_ms;
	int64_t price_input, price_cached, price_cache_write, price_output;
};

/*
 * How often something may happen: burst times at once, and count times in
 * period_ms in the long run. count 0: there is no limit.
 */
struct conf_rate {
	int64_t count, period_ms, burst;
};

/* A provider that is not built in. */
struct conf_provider {
	char *label;
	char *like; /* the built-in one that it begins as */
	char *url, *path;
	char *key_header, *key_variable;
	char *quirks;
};

/* Who signs tokens, besides the keys of [jwt]. */
struct conf_issuer {
	char *label;
	char *issuer, *audience;
	char *jwks_file, *jwks_url; /* neither: discovery */
	char *algorithms;
	char *user_claim, *user_prefix;
	char *tenant_claim, *roles_claim;
	char *ca_file, *proxy;
	int64_t keep_ms;
};

/* A key that stands for a user, in the place of a token. */
struct conf_api_key {
	char *label;
	char *hash, *user, *tenant, *roles, *scopes;
	char *created, *expires;
};

/*
 * The configuration: one struct, filled from one table (conf_table.c) whose
 * rows also make the manual page and the sample file. Times are in ms, sizes
 * in bytes. Strings are never NULL. Immutable once loaded.
 */
struct conf {
	char *file; /* where it came from, for messages */

	char *listen;
	char *listen_owner;
	char *listen_group;
	int64_t listen_mode;
	int64_t listen_backlog;
	char *ctl_socket;
	int64_t workers; /* 0: one per core */
	int64_t pm;      /* enum scale_mode */
	int64_t pm_max_children, pm_start_servers;
	int64_t pm_min_spare_servers, pm_max_spare_servers;
	int64_t pm_process_idle_timeout_ms;
	int64_t pm_max_requests, pm_max_memory_bytes;
	int64_t request_threads;
	int64_t drain_timeout_ms;
	int64_t log_level;
	char *log_file;
	char *templates, *skills;
	char *cors_origins;

	char *jwt_secret_file, *jwt_old_secret_file;
	int64_t jwt_secret_algorithm;
	char *jwt_public_key_file, *jwt_jwks_file;
	int64_t jwt_public_key_algorithm;
	char *jwt_issuer;
	char *jwt_audience;
	char *jwt_user_claim;
	char *jwt_tenant_claim;
	char *jwt_roles_claim;
	int64_t jwt_leeway_ms;
	int64_t jwt_scopes; /* 1: required */
	int64_t jwt_cache;
	struct conf_issuer issuer;   /* defaults of those that follow */
	struct conf_issuer *issuers; /* [issuer NAME] */
	size_t issuer_count;
	struct conf_api_key api_key;   /* defaults of those that follow */
	struct conf_api_key *api_keys; /* [api_key NAME] */
	size_t api_key_count;

	int64_t bridge_auth; /* enum conf_bridge_auth */
	int64_t bridge_idle_timeout_ms, bridge_sync_interval_ms;
	int64_t bridge_sync_files, bridge_sync_file_bytes, bridge_sync_bytes;
	char *bridge_anonymous_user, *bridge_cors_origins;

	char *store_address;
	char *store_user;
	char *store_password_file;
	int64_t store_database;
	char *store_prefix;
	int64_t store_connections;
	int64_t store_connect_timeout_ms;
	int64_t store_command_timeout_ms;
	int64_t store_timeout_ms;
	int64_t store_lease_ms;
	int64_t store_sweep_ms;
	int64_t store_cache_bytes;

	int64_t events_coalesce_ms;
	int64_t events_keep;
	int64_t events_heartbeat_ms;
	int64_t events_backlog_bytes;
	int64_t events_end_at_expiry;

	/* [model], and the provider of that name; the others by name. */
	struct conf_model model;
	struct conf_model *models; /* [model NAME], complete */
	size_t model_count;
	struct conf_provider provider;   /* defaults of those that follow */
	struct conf_provider *providers; /* [provider NAME] */
	size_t provider_count;

	int64_t turn_timeout_ms;
	int64_t turn_stall_timeout_ms;
	int64_t turn_max_tokens;

	char *tool_secret_file;
	int64_t mcp_idle_timeout_ms;
	int64_t page_timeout_ms;
	char *tool_networks;
	int64_t tool_concurrency;
	int64_t tool_rounds;
	int64_t tool_todo_reminder;
	int64_t tool_max_output_bytes;

	int64_t task_depth, task_max;

	char *sandbox_socket, *sandbox_group, *sandbox_client;
	char *sandbox_address, *sandbox_token_file, *sandbox_ca_file;
	char *sandbox_certificate_file, *sandbox_key_file;
	char *sandbox_fastcgi, *sandbox_fastcgi_group, *sandbox_accel;
	char *sandbox_workspaces, *sandbox_bwrap, *sandbox_launcher;
	int64_t sandbox_runner;
	char *sandbox_proxy, *sandbox_proxy_group, *sandbox_proxy_client;
	int64_t sandbox_proxy_connections, sandbox_proxy_connect_timeout_ms;
	int64_t sandbox_proxy_idle_timeout_ms;
	int64_t sandbox_timeout_ms, sandbox_heartbeat_ms, sandbox_threads;
	int64_t sandbox_quota_bytes, sandbox_max_files, sandbox_max_file_bytes;
	int64_t sandbox_commands, sandbox_processes, sandbox_jobs;
	int64_t sandbox_programs, sandbox_job_idle_ms;
	char *sandbox_cgroup;
	int64_t sandbox_memory_bytes, sandbox_cpu;
	int64_t sandbox_command_time_ms, sandbox_max_time_ms;
	int64_t sandbox_job_time_ms, sandbox_accel_bytes;
	char *bridge_listen, *bridge_group, *bridge_dialects;
	int64_t bridge_ping_interval_ms, bridge_ping_timeout_ms;
	int64_t bridge_max_payload, bridge_backlog_bytes;
	int64_t bridge_connections_per_user, bridge_connections_per_address;
	int64_t bridge_rooms;
	int64_t bridge_page_heartbeat_ms, bridge_page_commands;
	int64_t bridge_page_capabilities, bridge_page_bytes;
	struct conf_rate bridge_messages;
	int64_t compact_keep_turns;
	char *compact_model, *compact_prompt;

	char *status_allow;
	int64_t slowlog_turn_ms, slowlog_model_ms, slowlog_tool_ms;
	char *slowlog_file;
	char *otlp_url, *otlp_headers_file, *otlp_ca_file, *otlp_service_name;
	int64_t otlp_sample; /* millionths */
	int64_t otlp_delay_ms;
	char *audit_file;
	int64_t audit_keep;

	char *approval_role;
	char *budget_role;
	int64_t budget_turn_tokens, budget_turn_cost; /* millionths */
	int64_t budget_agent_tokens, budget_agent_cost;
	int64_t budget_user_day_tokens, budget_user_day_cost;
	int64_t budget_user_month_tokens, budget_user_month_cost;
	int64_t budget_tenant_day_tokens, budget_tenant_day_cost;
	int64_t budget_tenant_month_tokens, budget_tenant_month_cost;
	int64_t budget_count_cached, budget_warn_percent;
	int64_t budget_on_exceed; /* enum budget_end */
	int64_t retention_events_ms, retention_tool_outputs_ms;
	int64_t retention_windows, retention_agents_ms, retention_sweep_ms;
	int64_t retention_cache_ms, retention_files_ms;
	int64_t retention_events_bytes, retention_tool_outputs_bytes;
	int64_t retention_files_bytes;
	char *admin_role;
	int64_t approval_timeout_ms;

	int64_t limits_body_bytes, limits_json_depth;
	int64_t limits_header_bytes, limits_message_bytes;
	int64_t limits_inbox, limits_checkpoints;
	int64_t limits_agents_per_user;
	int64_t limits_viewers, limits_viewers_per_user;
	int64_t limits_tenant_viewers;
	int64_t limits_turns, limits_turns_per_user, limits_tenant_turns;
	int64_t limits_queue, limits_queue_age_ms;
	struct conf_rate limits_requests, limits_chats;
	struct conf_rate limits_tenant_requests, limits_tenant_chats;
};

enum conf_bridge_auth {
	CONF_BRIDGE_REQUIRED,
	CONF_BRIDGE_OPTIONAL,
	CONF_BRIDGE_OFF
};
enum conf_choice { CONF_AUTO, CONF_NO, CONF_YES };
enum conf_runner {
	CONF_RUNNER_BUBBLEWRAP,
	CONF_RUNNER_NONE,
	CONF_RUNNER_LAUNCHER
};

/*
 * Reads a configuration: the file at path, or the open file fd if fd >= 0
 * (path is then its name in messages). path "" is all defaults. Every
 * mistake in it is appended to problems, a line each, as FILE:LINE: what is
 * wrong and what to write. NULL and ERR_CONFIG if there was one.
 */
struct conf *conf_load(
    const char *path, int fd, struct buf *problems, struct err *err);
void conf_free(struct conf **c_p);

/*
 * The same where a program begins: each mistake goes to stderr, and the log
 * has the level that is configured. NULL: the program ends with EX_CONFIG.
 */
struct conf *conf_load_for(const char *program, const char *path, int fd);

/*
 * A secret by its setting's name without "_file" ("jwt.secret"), from the
 * file that is configured, else $CREDENTIALS_DIRECTORY/NAME, else its
 * environment variable. A line end at its end is dropped. 1 and out filled,
 * 0 there is none, -1 ERR_CONFIG. Whoever calls wipes out with conf_wipe.
 */
int conf_secret(
    const struct conf *c, const char *name, struct buf *out, struct err *err);
void conf_wipe(struct buf *secret);

/* 1 and the path of the file that a secret is read from, 0 if none is. */
int conf_secret_path(
    const struct conf *c, const char *name, char *path, size_t size);

/* A model by its label, "default" or NAME; "" is the default. NULL: none. */
const struct conf_model *conf_model_find(
    const struct conf *c, const char *label);

/*
 * The API key of a model, in the same order; the credential of [model NAME] is
 * model.NAME.api_key, and the variable is the caller's, or "".
 */
int conf_model_key(const struct conf_model *m, const char *variable,
    struct buf *out, struct err *err);

/* 1 if a text can be the NAME of a section [issuer NAME] or its like. */
int conf_label_is_good(const char *label);

/* The table as a manual page (mdoc) and as a commented sample file. */
void conf_print_man(struct buf *out);
void conf_print_sample(struct buf *out);

#endif
