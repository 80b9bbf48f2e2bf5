/* SPDX-License-Identifier: MIT */
/* A history in the form that a model wants, when it must forget what the model
 * thought as soon as the user speaks. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/forms.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "conf/conf.h"

static const char text[] = "model.provider = local\n"
			   "model.id = m\n"
			   "[provider local]\n"
			   "like = qwen\n"
			   "url = http://127.0.0.1:1/v1\n";

#define DOC(head, role, content)                                               \
	"{\"id\":\"msg_1\"," head "\"role\":\"" role "\",\"content\":" content \
	"}"
#define USER(content) DOC("", "user", content)
#define MODEL(by, content) DOC("\"by\":\"" by "\",", "assistant", content)
#define CALL                                                                   \
	"[{\"type\":\"thinking\",\"thinking\":\"hm\"},{\"type\":\"tool_use\"," \
	"\"id\":\"c1\",\"name\":\"f\",\"input\":{}}]"
#define RESULT                                                                 \
	"[{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":\"r\"}" \
	"]"
#define WITHDRAWN                                                              \
	DOC("\"withdrawn\":true,\"error\":{\"code\":\"model\"},", "assistant", \
	    "[]")

static void
add(struct history *h, const char *doc)
{
	history_add(h, doc, strlen(doc));
}

static void
expect_entries(
    struct history *h, int64_t entries, const char *last, int thought)
{
	size_t len = strlen(last);

	assert_int_equal(form_entries(h), entries);
	assert_true(h->text.len > len);
	assert_string_equal(h->text.data + h->text.len - len, last);
	assert_int_equal(
	    strstr(h->text.data, "reasoning_content") != NULL, thought);
}

static void
test_round(void **state)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct history_cache *hc;
	struct models *models;
	struct forms *forms;
	struct conf *c;
	struct history *h;
	struct buf problems, doc;
	struct err err;

	(void)state;
	buf_init(&problems, NULL);
	buf_init(&doc, NULL);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	c = conf_load("af.conf", fd, &problems, &err);
	if (c == NULL)
		fail_msg("%s", buf_str(&problems));
	models = models_new(NULL, NULL, c, &err);
	if (models == NULL)
		fail_msg("%s", err.text);
	forms = forms_new(models);
	hc = history_cache_new(1 << 20, forms_choose, forms);
	h = history_take(hc, "agt_1");
	buf_printf(
	    &doc, MODEL("%s", "%s"), model_by(models_at(models, 0)), CALL);

	add(h, USER("\"hi\""));
	add(h, doc.data);
	add(h, USER(RESULT));
	expect_entries(h, 3, "\"tool_call_id\":\"c1\" }", 1);
	add(h, USER("\"go\""));
	expect_entries(h, 4, "{\"role\":\"user\",\"content\":\"go\"}", 0);
	add(h, WITHDRAWN);
	expect_entries(h, 3, "\"tool_call_id\":\"c1\" }", 0);
	add(h, USER("\"on\""));
	expect_entries(h, 4, "{\"role\":\"user\",\"content\":\"on\"}", 0);
	add(h, MODEL("openai-chat:another", CALL));
	expect_entries(h, 5, "\"arguments\":\"{}\"}}]}", 0);

	history_give(hc, h, 0);
	history_cache_free(&hc);
	forms_free(&forms);
	models_free(&models);
	conf_free(&c);
	close(fd);
	buf_fini(&problems);
	buf_fini(&doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
