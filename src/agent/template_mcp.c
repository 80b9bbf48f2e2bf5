/* SPDX-License-Identifier: MIT */
/* The MCP servers of a template: see template_mcp.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/template_mcp.h"
#include "agent/template_members.h"
#include "agent/templates.h"
#include "base/arena.h"
#include "base/json.h"
#include "mcp/mcp.h"
#include "tool/tool.h"

#define NAME_CHARS 24 /* a tool's own name must have room in the 64 */
#define TIMEOUT_DEFAULT_S 60
#define CONNECT_DEFAULT_S 20
#define TIMEOUT_MAX_S 3600
#define HEADERS_MAX 12
#define PATTERNS_MAX 256
#define SECRET_BYTES 8192

static int
check_name(const char *name, struct err *err)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t n = strlen(name);

	if (n == 0 || n > NAME_CHARS || strspn(name, chars) != n)
		return err_set(err, ERR_CONFIG,
		    "name is 1 to %d lower case letters, digits or -",
		    NAME_CHARS);
	return 0;
}

/* A list of names that may end in *. */
static int
read_patterns(struct arena *a, const struct json *j, const char *name,
    const char *const **out, struct err *err)
{
	const struct json *list = json_get(j, name);
	const char **all;
	size_t n = 0;

	if (list != NULL &&
	    (!json_is(list, JSON_ARRAY) || json_count(list) > PATTERNS_MAX))
		return err_set(err, ERR_CONFIG,
		    "%s is a list of up to %d names", name, PATTERNS_MAX);
	all = arena_alloc(a, (json_count(list) + 1) * sizeof(*all));
	for (const struct json *v = json_first(list); v != NULL;
	     v = json_next(v)) {
		if (json_str(v) == NULL)
			return err_set(
			    err, ERR_CONFIG, "%s is a list of names", name);
		all[n++] = json_str(v);
	}
	all[n] = NULL;
	*out = all;
	return 0;
}

/* ---- headers ---- */

/* A header, as it is sent. */
static const char *
header(struct arena *a, const char *name, const char *value, struct err *err)
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

	if (*name == '\0' || strspn(name, token) != strlen(name)) {
		err_set(err, ERR_CONFIG, "\"%.60s\" is no header's name", name);
		return NULL;
	}
	if (*value == '\0') {
		err_set(err, ERR_CONFIG, "%s: the value is empty", name);
		return NULL;
	}
	for (const char *p = value; *p != '\0'; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f) {
			err_set(err, ERR_CONFIG,
			    "%s: the value has a control character", name);
			return NULL;
		}
	return arena_printf(a, "%s: %s", name, value);
}

/* The first line of a file. */
static const char *
first_line(struct arena *a, const char *path, struct err *err)
{
	char text[SECRET_BYTES];
	FILE *f = fopen(path, "re");
	const char *line;

	if (f == NULL) {
		err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	fclose(f);
	text[strcspn(text, "\r\n")] = '\0';
	line = arena_strdup(a, text);
	explicit_bzero(text, sizeof(text));
	return line;
}

static int
add_headers(struct arena *a, const struct json *j, const char *name,
    struct mcp_server *out, const char **headers, struct err *err)
{
	const struct json *list = json_get(j, name);
	int from_files = strcmp(name, "headerFiles") == 0;

	if (list != NULL && !json_is(list, JSON_OBJECT))
		return err_set(err, ERR_CONFIG, "%s is not an object", name);
	for (const struct json *v = json_first(list); v != NULL;
	     v = json_next(v)) {
		const char *value = json_str(v);

		if (value == NULL || out->header_count == HEADERS_MAX)
			return err_set(err, ERR_CONFIG, "%s has up to %d texts",
			    name, HEADERS_MAX);
		if (from_files)
			value = first_line(a, value, err);
		headers[out->header_count] =
		    value == NULL ? NULL : header(a, json_name(v), value, err);
		if (headers[out->header_count++] == NULL)
			return err_prefix(err, "%s", name);
	}
	return 0;
}

/* ---- servers ---- */

/* A program, or a URL. */
static int
read_place(const struct json *j, struct mcp_server *out, struct err *err)
{
	if (template_str(j, "command", &out->command, err) < 0)
		return -1;
	if ((json_get(j, "url") != NULL) == (*out->command != '\0'))
		return err_set(
		    err, ERR_CONFIG, "a server has a url or a command");
	if (json_get(j, "url") != NULL) {
		out->command = NULL;
		return template_url(j, &out->url, err);
	}
	/* A program runs in the sandbox, as what needs that tool does. */
	if (tool_missing("bash_run") != NULL)
		return err_set(
		    err, ERR_CONFIG, "command: %s", tool_missing("bash_run"));
	return 0;
}

static int
read_server(struct arena *a, const struct json *j, struct mcp_server *out,
    struct err *err)
{
	static const char *const names[] = { "name", "url", "command",
		"headers", "headerFiles", "include", "exclude", "readOnly",
		"timeout", "connectTimeout", NULL };
	int64_t timeout = TIMEOUT_DEFAULT_S, connect = CONNECT_DEFAULT_S;
	const char **headers =
	    arena_alloc(a, (HEADERS_MAX + 1) * sizeof(*headers));

	out->headers = headers;
	if (template_names(j, names, err) < 0 ||
	    template_str(j, "name", &out->name, err) < 0 ||
	    check_name(out->name, err) < 0 || read_place(j, out, err) < 0 ||
	    add_headers(a, j, "headers", out, headers, err) < 0 ||
	    add_headers(a, j, "headerFiles", out, headers, err) < 0 ||
	    read_patterns(a, j, "include", &out->include, err) < 0 ||
	    read_patterns(a, j, "exclude", &out->exclude, err) < 0 ||
	    read_patterns(a, j, "readOnly", &out->read_only, err) < 0 ||
	    template_int(j, "timeout", TIMEOUT_MAX_S, &timeout, err) < 0 ||
	    template_int(j, "connectTimeout", TIMEOUT_MAX_S, &connect, err) < 0)
		return -1;
	out->timeout_ms = timeout * 1000;
	out->connect_ms = connect * 1000;
	return 0;
}

int
template_read_mcp(struct arena *a, const struct json *list,
    struct agent_template *out, struct err *err)
{
	struct mcp_server *all;
	size_t n = 0;

	if (list == NULL)
		return 0;
	if (!json_is(list, JSON_ARRAY))
		return err_set(err, ERR_CONFIG, "mcp is not a list");
	all = arena_alloc(a, (json_count(list) + 1) * sizeof(*all));
	memset(all, 0, (json_count(list) + 1) * sizeof(*all));
	out->mcp_servers = all;
	for (const struct json *j = json_first(list); j != NULL;
	     j = json_next(j)) {
		if (read_server(a, j, &all[n], err) < 0)
			return err_prefix(err, "mcp[%zu]", n);
		for (size_t i = 0; i < n; i++)
			if (strcmp(all[i].name, all[n].name) == 0)
				return err_set(err, ERR_CONFIG,
				    "mcp[%zu]: the name \"%s\" is used before",
				    n, all[n].name);
		all[n].network = out->network;
		out->mcp_server_count = ++n;
	}
	return 0;
}
