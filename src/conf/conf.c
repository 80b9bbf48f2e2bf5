/* SPDX-License-Identifier: MIT */
/*
 * Reading the configuration file: INI by inih, names by the table.
 *
 * A key's full name is its section, a dot, and the key; before the first
 * section (or anywhere, spelled in full) "listen.mode" is as good as mode in
 * [listen]. All mistakes are reported, not only the first. inih tells no line
 * numbers to its handler, so its lines come from a reader here that counts.
 *
 * The master reads the file; the workers get the same bytes through a
 * descriptor, so that a file which is being edited cannot split a pool.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/conf_priv.h"

#define FILE_MAX_BYTES (256 * 1024)
#define SECRET_MAX_BYTES (64 * 1024)

struct reader {
	struct conf *conf;
	const char *file;
	const char *next; /* of the text */
	int line;
	int mistakes;
	struct buf *problems;
	const struct setting *seen[256];
	size_t seen_count;
	struct named *named, **named_tail;
};

struct secret {
	const char *name;
	size_t file_offset;
	const char *variable;
};

static const struct secret secrets[] = {
	{ "jwt.secret", offsetof(struct conf, jwt_secret_file),
	    "AGENT_FPM_JWT_SECRET" },
	{ "jwt.old_secret", offsetof(struct conf, jwt_old_secret_file),
	    "AGENT_FPM_JWT_OLD_SECRET" },
	{ "store.password", offsetof(struct conf, store_password_file),
	    "AGENT_FPM_STORE_PASSWORD" },
	{ "tool.secret", offsetof(struct conf, tool_secret_file),
	    "AGENT_FPM_TOOL_SECRET" },
	{ "sandbox.token", offsetof(struct conf, sandbox_token_file),
	    "AGENT_FPM_SANDBOX_TOKEN" },
	{ "otlp.headers", offsetof(struct conf, otlp_headers_file),
	    "AGENT_FPM_OTLP_HEADERS" },
};

/* Starts a line of problems; the caller adds the rest of it. */
static void
complain(struct reader *r)
{
	r->mistakes++;
	buf_printf(r->problems, "%s:%d: ", r->file, r->line);
}

/* 1 if a line without its indentation is of the form that inih reads. */
static int
line_is_good(const char *line)
{
	size_t n = strcspn(line, "\n");

	if (n == 0 || *line == '\r' || *line == '#' || *line == ';')
		return 1;
	if (*line == '[')
		return memchr(line, ']', n) != NULL;
	return strcspn(line, "=:\n") < n;
}

/* 1 if no setting stands between the heading before text and the next one. */
static int
section_is_empty(const char *text)
{
	for (;;) {
		text += strspn(text, " \t\r\n");
		if (*text != '#' && *text != ';')
			return *text == '\0' || *text == '[';
		text += strcspn(text, "\n");
	}
}

static const struct setting_section *
section_find(const char *name, size_t len)
{
	for (size_t i = 0; i < setting_sections_count; i++)
		if (strlen(setting_sections[i].name) == len &&
		    memcmp(setting_sections[i].name, name, len) == 0)
			return &setting_sections[i];
	return NULL;
}

/* The kind of a section that may be there many times. */
static enum named_kind
kind_of(const char *word, size_t len)
{
	int i = 0;

	while (i < NAMED_KINDS - 1 && (strlen(named_words[i]) != len ||
					  memcmp(named_words[i], word, len)))
		i++;
	return (enum named_kind)i;
}

/* [model NAME] or its like begins: what it sets is its own. */
static void
begin_named(struct reader *r, const char *word, size_t word_len,
    const char *label, size_t len)
{
	struct named *n = calloc(1, sizeof(*n));

	if (n == NULL)
		abort();
	n->kind = kind_of(word, word_len);
	n->line = r->line;
	n->tail = &n->values;
	snprintf(n->label, sizeof(n->label), "%.*s", (int)len, label);
	if (len >= sizeof(n->label) || !conf_label_is_good(n->label) ||
	    strcmp(n->label, "default") == 0) {
		complain(r);
		buf_printf(r->problems,
		    "\"%.*s\" cannot be a %.*s's name: 1 to 63 letters, "
		    "digits and ._:/-, and not default\n",
		    (int)len, label, (int)word_len, word);
	}
	for (const struct named *o = r->named; o != NULL; o = o->next)
		if (o->kind == n->kind && strcmp(o->label, n->label) == 0) {
			complain(r);
			buf_printf(r->problems,
			    "[%.*s %s] is there twice; keep one\n",
			    (int)word_len, word, n->label);
		}
	*r->named_tail = n;
	r->named_tail = &n->next;
}

/* The settings below an unknown heading are found by themselves. */
static void
check_section(struct reader *r, const char *line)
{
	size_t n = strcspn(line, "]") - 1, word = strcspn(line + 1, " \t]");
	const struct setting_section *sec = section_find(line + 1, word);
	const char *label = line + 1 + word;

	if (word < n) {
		label += strspn(label, " \t");
		n -= (size_t)(label - line - 1);
		if (sec != NULL &&
		    (strcmp(sec->name, "model") == 0 || sec->named)) {
			begin_named(r, line + 1, word, label, n);
			return;
		}
		sec = NULL;
		n += (size_t)(label - line - 1);
	}
	if (sec != NULL && sec->named) {
		complain(r);
		buf_printf(r->problems, "write [%s NAME]\n", sec->name);
	}
	if (sec != NULL || !section_is_empty(line + strcspn(line, "\n")))
		return;
	complain(r);
	buf_printf(r->problems,
	    "there is no section [%.*s]; agent-fpm.conf(5) lists them all\n",
	    (int)n, line + 1);
}

static void
complain_syntax(struct reader *r)
{
	complain(r);
	buf_puts(r->problems,
	    "neither [section] nor name = value nor a comment (# or ;)\n");
}

/*
 * The next line for inih, as fgets would give it; without its indentation,
 * which inih takes for a continuation. inih tells of the first malformed line
 * only, so they are found here, and it gets an empty one in their place.
 */
static char *
read_line(char *out, int size, void *stream)
{
	struct reader *r = stream;
	size_t n, all, indent;

	if (*r->next == '\0')
		return NULL;
	r->line++;
	indent = strspn(r->next, " \t");
	r->next += indent;
	all = strcspn(r->next, "\n");
	n = all < (size_t)size - 2 ? all : (size_t)size - 2;
	if (n < all) {
		complain(r);
		buf_printf(r->problems,
		    "the line is longer than %d characters\n", size - 2);
	}
	if (!line_is_good(r->next)) {
		complain_syntax(r);
		n = 0;
	} else if (*r->next == '[') {
		check_section(r, r->next);
	}
	memcpy(out, r->next, n);
	out[n] = '\n';
	out[n + 1] = '\0';
	r->next += all + (r->next[all] == '\n');
	return out;
}

static int
seen_before(struct reader *r, const struct setting *s)
{
	for (size_t i = 0; i < r->seen_count; i++)
		if (r->seen[i] == s)
			return 1;
	if (r->seen_count < sizeof(r->seen) / sizeof(r->seen[0]))
		r->seen[r->seen_count++] = s;
	return 0;
}

static void
complain_unknown(struct reader *r, const char *name)
{
	const struct setting *near = setting_nearest(name);

	complain(r);
	buf_printf(r->problems, "there is no setting \"%s\"", name);
	if (near != NULL)
		buf_printf(r->problems, "; did you mean \"%s\"?", near->name);
	else
		buf_puts(r->problems, "; agent-fpm.conf(5) lists them all");
	buf_putc(r->problems, '\n');
}

static void
handle_value(struct reader *r, const struct setting *s, const char *value)
{
	struct buf why;

	buf_init(&why, NULL);
	if (setting_parse(s, value, r->conf, 0, &why) < 0) {
		complain(r);
		buf_printf(r->problems, "%s: %s\n", s->name, buf_str(&why));
	}
	buf_fini(&why);
}

/* The one that a heading began, if that is what is read now. */
static struct named *
named_now(const struct reader *r, const char *section, enum named_kind kind)
{
	const char *word = named_words[kind];
	struct named *n = r->named;

	if (strncmp(section, word, strlen(word)) != 0 ||
	    (section[strlen(word)] != ' ' && section[strlen(word)] != '\t'))
		return NULL;
	while (n != NULL && n->next != NULL)
		n = n->next;
	return n != NULL && n->kind == kind ? n : NULL;
}

/* A line below [model NAME] or its like. */
static void
handle_named(struct reader *r, struct named *n, const char *word,
    const char *key, const char *value)
{
	struct named_value *v;
	char name[300];
	const struct setting *s;
	size_t len = strlen(word);
	int in_full = strncmp(key, word, len) == 0 && key[len] == '.';

	snprintf(name, sizeof(name), "%s%s%s", in_full ? "" : word,
	    in_full ? "" : ".", key);
	s = setting_find(name);
	if (s == NULL || strncmp(s->name, word, len) != 0) {
		complain_unknown(r, name);
		return;
	}
	for (v = n->values; v != NULL; v = v->next)
		if (v->setting == s) {
			complain(r);
			buf_printf(r->problems, "%s is set twice; keep one\n",
			    s->name);
			return;
		}
	v = calloc(1, sizeof(*v));
	if (v == NULL || (v->text = strdup(value)) == NULL)
		abort();
	v->setting = s;
	v->line = r->line;
	*n->tail = v;
	n->tail = &v->next;
}

static void
on_named_mistake(void *ctx, int line, const char *text)
{
	struct reader *r = ctx;

	r->line = line;
	complain(r);
	buf_printf(r->problems, "%s\n", text);
}

static int
handle_section(
    struct reader *r, const char *section, const char *key, const char *value)
{
	struct named *n;

	for (int i = 0; i < NAMED_KINDS; i++) {
		n = named_now(r, section, (enum named_kind)i);
		if (n != NULL) {
			handle_named(r, n, named_words[i], key, value);
			return 1;
		}
	}
	return 0;
}

static int
handle(void *user, const char *section, const char *key, const char *value)
{
	struct reader *r = user;
	const struct setting *s;
	char name[300];

	if (handle_section(r, section, key, value))
		return 1;
	snprintf(name, sizeof(name), "%s%s%s", section,
	    *section == '\0' ? "" : ".", key);
	s = setting_find(name);
	if (s == NULL)
		s = setting_find(key); /* spelled in full inside a section */
	if (s == NULL) {
		complain_unknown(r, name);
		return 1;
	}
	if (seen_before(r, s)) {
		complain(r);
		buf_printf(r->problems, "%s is set twice; keep one\n", s->name);
		return 1;
	}
	handle_value(r, s, value);
	return 1;
}

static void
conf_read_text(struct reader *r, const char *text)
{
	int rc;

	r->next = text;
	rc = ini_parse_stream(read_line, r, handle, r);
	if (rc > 0) {
		r->line = rc;
		complain_syntax(r);
	} else if (rc < 0) {
		abort();
	}
}

static void
conf_set_defaults(struct conf *c)
{
	struct buf why;

	buf_init(&why, NULL);
	for (size_t i = 0; i < settings_count; i++)
		if (setting_parse(
			&settings[i], settings[i].fallback, c, 0, &why) < 0)
			abort(); /* the table contradicts itself */
	buf_fini(&why);
}

static void
check_thinking(struct reader *r, const struct conf_model *m)
{
	if (m->thinking == 0 ||
	    (m->thinking >= 1024 && m->thinking < m->max_tokens))
		return;
	complain(r);
	buf_printf(r->problems,
	    "model.thinking of %s must be 0, or at least 1024 and less than "
	    "model.max_tokens\n",
	    m->label);
}

/* The numbers of workers among each other; 0 is not said. */
static void
check_pm(struct reader *r)
{
	const struct conf *c = r->conf;
	int64_t max = c->pm_max_children > 0 ? c->pm_max_children : c->workers;
	int64_t min_spare = c->pm_min_spare_servers;
	int64_t max_spare = c->pm_max_spare_servers;
	int64_t start = c->pm_start_servers;
	const char *wrong = NULL;

	if (c->workers > 0 && max != c->workers)
		wrong = "workers and pm.max_children are two names of one "
			"number; keep one";
	else if (max > 0 && (min_spare > max || max_spare > max || start > max))
		wrong = "pm.start_servers, pm.min_spare_servers and "
			"pm.max_spare_servers are at most pm.max_children";
	else if (max_spare > 0 && min_spare > max_spare)
		wrong = "pm.min_spare_servers is at most pm.max_spare_servers";
	else if (start > 0 &&
		 (start < min_spare || (max_spare > 0 && start > max_spare)))
		wrong = "pm.start_servers is between pm.min_spare_servers and "
			"pm.max_spare_servers";
	if (wrong == NULL)
		return;
	complain(r);
	buf_printf(r->problems, "%s\n", wrong);
}

/* What no single row can say. */
static void
conf_check_pairs(struct reader *r)
{
	const struct conf *c = r->conf;

	r->line = 0;
	check_thinking(r, &c->model);
	for (size_t i = 0; i < c->model_count; i++)
		check_thinking(r, &c->models[i]);
	if (*c->sandbox_accel != '\0' &&
	    (*c->sandbox_address != '\0' || c->sandbox_accel[0] != '/' ||
		c->sandbox_accel[strlen(c->sandbox_accel) - 1] != '/')) {
		complain(r);
		buf_puts(r->problems,
		    "sandbox.accel is a path of the site with / at both ends, "
		    "for files on this host: not with sandbox.address\n");
	}
	if (c->listen[0] != '/') {
		complain(r);
		buf_puts(r->problems,
		    "listen must be the absolute path of a unix socket\n");
	}
	check_pm(r);
	if (*c->log_file != '\0' && *c->log_file != '/') {
		complain(r);
		buf_puts(r->problems, "log_file must be an absolute path\n");
	}
	if (strlen(c->listen) > 107) {
		complain(r);
		buf_puts(r->problems,
		    "listen is too long for a unix socket (107 bytes)\n");
	}
	if (*c->ctl_socket != '\0' && strcmp(c->ctl_socket, "none") != 0 &&
	    (c->ctl_socket[0] != '/' || strlen(c->ctl_socket) > 107)) {
		complain(r);
		buf_puts(r->problems, "ctl.socket must be the absolute path of "
				      "a unix socket, of at "
				      "most 107 bytes, or none\n");
	}
}

/* All of an open file or, with fd < 0, of the file at path. 0 or -1. */
static int
file_read(
    const char *path, int fd, size_t max, struct buf *out, struct err *err)
{
	char chunk[8192];
	off_t at = 0;
	ssize_t n;
	int own = fd < 0;

	if (own)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(
		    err, ERR_CONFIG, "%s: %s", path, strerror(errno));
	while ((n = own ? read(fd, chunk, sizeof(chunk))
			: pread(fd, chunk, sizeof(chunk), at)) > 0 &&
	       out->len <= max) {
		buf_add(out, chunk, (size_t)n);
		at += n;
	}
	if (n < 0)
		err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
	else if (out->len > max)
		n = err_set(
		    err, ERR_CONFIG, "%s: larger than %zu bytes", path, max);
	if (own)
		close(fd);
	return n < 0 ? -1 : 0;
}

struct conf *
conf_load(const char *path, int fd, struct buf *problems, struct err *err)
{
	struct conf *c = calloc(1, sizeof(*c));
	struct reader r = { .conf = c, .file = path, .problems = problems };
	struct buf text;

	if (c == NULL)
		abort();
	buf_init(&text, NULL);
	r.named_tail = &r.named;
	conf_set_defaults(c);
	c->file = strdup(path);
	if (*path != '\0' &&
	    file_read(path, fd, FILE_MAX_BYTES, &text, err) < 0) {
		buf_printf(problems, "%s\n", err->text);
		r.mistakes++;
	} else if (memchr(buf_str(&text), '\0', text.len) != NULL) {
		complain(&r);
		buf_puts(problems, "the file is not text: it has a NUL byte\n");
	} else {
		conf_read_text(&r, buf_str(&text));
	}
	named_resolve(c, r.named, on_named_mistake, &r);
	named_free(&r.named);
	if (r.mistakes == 0)
		conf_check_pairs(&r);
	buf_fini(&text);
	if (r.mistakes > 0) {
		err_set(err, ERR_CONFIG, "%d mistake%s in %s", r.mistakes,
		    r.mistakes == 1 ? "" : "s", path);
		conf_free(&c);
	}
	return c;
}

struct conf *
conf_load_for(const char *program, const char *path, int fd)
{
	struct buf problems;
	struct err err;
	struct conf *c;

	buf_init(&problems, NULL);
	c = conf_load(path, fd, &problems, &err);
	if (c == NULL)
		fprintf(stderr, "%s%s: %s\n", buf_str(&problems), program,
		    err.text);
	else
		log_level_set((enum log_level)c->log_level);
	buf_fini(&problems);
	return c;
}

void
conf_free(struct conf **c_p)
{
	struct conf *c = *c_p;

	if (c == NULL)
		return;
	*c_p = NULL;
	for (size_t i = 0; i < settings_count; i++)
		if (settings[i].type == SETTING_STRING)
			free(*(char **)((char *)c + settings[i].offset));
	named_conf_free(c);
	free(c->file);
	free(c);
}

void
conf_wipe(struct buf *secret)
{
	if (secret->data != NULL)
		explicit_bzero(secret->data, secret->cap);
	buf_fini(secret);
}

static void
drop_line_end(struct buf *b)
{
	while (b->len > 0 &&
	       (b->data[b->len - 1] == '\n' || b->data[b->len - 1] == '\r'))
		b->data[--b->len] = '\0';
}

/* The path of a credential that systemd passed, if there is such a file. */
static int
credential_path(const char *name, char *path, size_t size)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	struct stat st;

	if (dir == NULL)
		return 0;
	snprintf(path, size, "%s/%s", dir, name);
	return stat(path, &st) == 0;
}

static const struct secret *
secret_find(const char *name)
{
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (strcmp(secrets[i].name, name) == 0)
			return &secrets[i];
	abort();
}

/* From a file, else a credential, else a variable. */
static int
secret_read(const char *name, const char *file, const char *variable,
    struct buf *out, struct err *err)
{
	const char *value = *variable == '\0' ? NULL : getenv(variable);
	char path[4096];

	buf_init(out, NULL);
	buf_reserve(out, SECRET_MAX_BYTES + 8192); /* so it never moves */
	if (*file == '\0' && credential_path(name, path, sizeof(path)))
		file = path;
	if (*file != '\0') {
		if (file_read(file, -1, SECRET_MAX_BYTES, out, err) < 0)
			return err_prefix(err, "%s_file", name);
	} else if (value != NULL && *value != '\0') {
		buf_puts(out, value);
	}
	drop_line_end(out);
	return out->len > 0;
}

int
conf_secret(
    const struct conf *c, const char *name, struct buf *out, struct err *err)
{
	const struct secret *s = secret_find(name);
	const char *file = *(char *const *)((const char *)c + s->file_offset);

	return secret_read(name, file, s->variable, out, err);
}

int
conf_secret_path(
    const struct conf *c, const char *name, char *path, size_t size)
{
	const struct secret *s = secret_find(name);
	const char *file = *(char *const *)((const char *)c + s->file_offset);

	if (*file == '\0')
		return credential_path(name, path, size);
	snprintf(path, size, "%s", file);
	return 1;
}

int
conf_model_key(const struct conf_model *m, const char *variable,
    struct buf *out, struct err *err)
{
	char name[100];

	if (strcmp(m->label, "default") == 0)
		snprintf(name, sizeof(name), "model.api_key");
	else
		snprintf(name, sizeof(name), "model.%s.api_key", m->label);
	return secret_read(name, m->api_key_file, variable, out, err);
}
