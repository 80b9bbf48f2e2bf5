/* SPDX-License-Identifier: MIT */
/* Ids of sessions: what is one, and that they are agents' in both directions.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clk.h"
#include "session/session_id.h"

static void
test_known(void **state)
{
	static const char *const rows[] = {
		"46adb5ce-54f3-4a27-b3cb-40bf2d6a1ae5",
		"00000000-0000-4000-8000-000000000000",
		"ffffffff-ffff-4fff-bfff-ffffffffffff",
		"ses_01a1f9974a39_hnuiqyud46l",
		"ses_000000000000_00000000000",
		"ses_ffffffffffff_zzzzzzzzzzz",
	};
	char agent[ID_SIZE], back[SESSION_ID_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(session_id_agent(rows[i], agent), 1);
		assert_int_equal(id_valid(agent, "agt_"), 1);
		assert_int_equal(session_id_of_agent(agent, back), 1);
		assert_string_equal(back, rows[i]);
	}
	assert_int_equal(session_id_agent(rows[1], agent), 1);
	assert_string_equal(agent, "agt_0000000000g000200000000000");
}

static void
test_made(void **state)
{
	char id[SESSION_ID_SIZE], back[SESSION_ID_SIZE];
	char agent[ID_SIZE], last[ID_SIZE] = "";

	(void)state;
	clk_fake_set_ms(1795188805433);
	for (int i = 0; i < 4000; i++) {
		session_id_make(id, i % 2 ? SESSION_CLAUDE : SESSION_OPENCODE);
		assert_int_equal(strlen(id), i % 2 ? 36 : 28);
		if (i % 2 == 0)
			assert_memory_equal(id, "ses_01a1f9974f39_", 17);
		assert_int_equal(session_id_agent(id, agent), 1);
		assert_int_equal(session_id_of_agent(agent, back), 1);
		assert_string_equal(back, id);
		/* The hash tag tells two apart. */
		assert_memory_not_equal(agent + 4, last + 4, ID_FAMILY);
		memcpy(last, agent, sizeof(last));
	}
	clk_fake_set_ms(-1);
}

static void
test_none(void **state)
{
	static const char *const rows[] = { "", "nope",
		"46adb5ce-54f3-1a27-b3cb-40bf2d6a1ae5",  /* version 1 */
		"46adb5ce-54f3-4a27-c3cb-40bf2d6a1ae5",  /* another variant */
		"46ADB5CE-54F3-4A27-B3CB-40BF2D6A1AE5",  /* upper case */
		"46adb5ce054f3-4a27-b3cb-40bf2d6a1ae5",  /* no hyphen */
		"46adb5ce-54f3-4a27-b3cb-40bf2d6a1ae",   /* too short */
		"46adb5ce-54f3-4a27-b3cb-40bf2d6a1ae55", /* too long */
		"46adb5ce-54f3-4a27-b3cb-40bf2d6a1aeg",
		"{46adb5ce-54f3-4a27-b3cb-40bf2d6a1ae}",
		"ses_01a1f9974a39_hnuiqyud46", "ses_01a1f9974a39_hnuiqyud46lx",
		"ses_01A1F9974a39_hnuiqyud46l", "ses_01a1f9974a39_Hnuiqyud46l",
		"ses_01a1f9974a39-hnuiqyud46l", "sez_01a1f9974a39_hnuiqyud46l",
		"ses_01a1f9974a3x_hnuiqyud46l", "ses_01a1f9974a39_hnuiq-ud46l",
		"agt_0000000000g000200000000000" };
	char agent[ID_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(session_id_agent(rows[i], agent), 0);
}

/* Whatever agent has a session's id gets back to itself. */
static void
test_agents(void **state)
{
	static const char *const none[] = { "", "agt_", "msg_",
		"agt_00000000008000400000000008", /* more than 128 bits */
		"agt_zzzzzzzzzzzzzzzzzzzzzzzzzz",
		"agt_00000000000000000000000000",
		"46adb5ce-54f3-4a27-b3cb-40bf2d6a1ae5" };
	char id[ID_SIZE], session[SESSION_ID_SIZE], back[ID_SIZE];
	int found = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(session_id_of_agent(none[i], session), 0);
	for (int i = 0; i < 20000; i++) {
		id_make(id, "agt_");
		if (!session_id_of_agent(id, session))
			continue;
		found++;
		assert_int_equal(session_id_agent(session, back), 1);
		assert_string_equal(back, id);
	}
	assert_in_range(found, 150, 500); /* one in 64 */
}

static void
test_kinds(void **state)
{
	(void)state;
	assert_int_equal(session_kind_find("claude-agent-sdk"), SESSION_CLAUDE);
	assert_int_equal(session_kind_find("claude-sdk"), SESSION_CLAUDE);
	assert_int_equal(session_kind_find("opencode"), SESSION_OPENCODE);
	assert_int_equal(session_kind_find("gemini"), -1);
	assert_int_equal(session_kind_find(""), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_agents),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
