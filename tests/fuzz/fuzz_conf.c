/* SPDX-License-Identifier: MIT */
/*
 * A configuration from a memfd, as a worker gets it. It is loaded, and then
 * every number in it is within its range; or it is refused, and then each
 * line of what is said names the file.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "conf/conf_priv.h"

#define NAME "fuzz.conf"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
check_conf(const struct conf *c)
{
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *s = &settings[i];
		const char *at = (const char *)c + s->offset;
		int64_t v;

		if (s->type == SETTING_STRING) {
			must(*(char *const *)(const void *)at != NULL);
			continue;
		}
		memcpy(&v, at, sizeof(v));
		if (s->type == SETTING_CHOICE)
			must(v >= 0 && v < (int64_t)strlen(s->choices));
		else if (s->type == SETTING_PRICE)
			must(v >= -1);
		else
			must(v >= s->min && v <= s->max);
	}
	must(c->listen[0] == '/');
	for (size_t i = 0; i < c->model_count; i++) {
		must(conf_label_is_good(c->models[i].label));
		must(strlen(c->models[i].provider) < SIZE_MAX);
		must(conf_model_find(c, c->models[i].label) == &c->models[i]);
	}
	for (size_t i = 0; i < c->provider_count; i++)
		must(c->providers[i].url != c->provider.url);
}

static void
check_problems(const struct buf *problems)
{
	const char *p = buf_str(problems);

	must(problems->len > 0 && strlen(p) == problems->len);
	for (; *p != '\0'; p += strcspn(p, "\n") + 1) {
		must(strncmp(p, NAME ":", strlen(NAME) + 1) == 0);
		must(strchr(p, '\n') != NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct err err = { 0 };
	struct buf problems;
	struct conf *c;

	if (fd < 0)
		fd = memfd_create("conf", MFD_CLOEXEC);
	must(ftruncate(fd, 0) == 0);
	must(pwrite(fd, data, size, 0) == (ssize_t)size);
	buf_init(&problems, NULL);
	c = conf_load(NAME, fd, &problems, &err);
	must((c == NULL) == (err.code == ERR_CONFIG));
	if (c != NULL) {
		must(problems.len == 0);
		check_conf(c);
	} else {
		check_problems(&problems);
	}
	conf_free(&c);
	buf_fini(&problems);
	return 0;
}
