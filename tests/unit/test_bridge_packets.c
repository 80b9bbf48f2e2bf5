/* SPDX-License-Identifier: MIT */
/* Packets of Engine.IO 4 and Socket.IO 5: as socket.io 4.8.1 puts them on the
 * wire, and what is none. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "bridge/eio_packet.h"
#include "bridge/sio_packet.h"

static struct arena *a;
static struct buf out;

static int
setup(void **state)
{
	(void)state;
	a = arena_open(1024);
	buf_init(&out, a);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_close(&a);
	return 0;
}

/* What was written since the last look. */
static void
assert_written(const char *text)
{
	assert_string_equal(buf_str(&out), text);
	buf_clear(&out);
}

/* ---- Engine.IO ---- */

static void
test_types(void **state)
{
	static const struct {
		const char *text;
		enum eio_type type;
		const char *data;
	} rows[] = {
		{ "0{}", EIO_OPEN, "{}" },
		{ "1", EIO_CLOSE, "" },
		{ "2", EIO_PING, "" },
		{ "2probe", EIO_PING, "probe" },
		{ "3", EIO_PONG, "" },
		{ "3probe", EIO_PONG, "probe" },
		{ "40", EIO_MESSAGE, "0" },
		{ "5", EIO_UPGRADE, "" },
		{ "6", EIO_NOOP, "" },
		{ "bAAEC", EIO_BINARY, "AAEC" },
	};
	struct eio_packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    eio_read(rows[i].text, strlen(rows[i].text), &p), 0);
		assert_int_equal(p.type, rows[i].type);
		assert_int_equal(p.len, strlen(rows[i].data));
		assert_memory_equal(p.data, rows[i].data, p.len);
		eio_put(&out, p.type, p.data, p.len);
		assert_written(rows[i].text);
	}
	assert_int_equal(eio_read("", 0, &p), -1);
	assert_int_equal(eio_read("7", 1, &p), -1);
	assert_int_equal(eio_read("x", 1, &p), -1);
	assert_int_equal(eio_read("\0", 1, &p), -1);
}

/* The packets of a body, with | between them; # for what is none. */
static void
read_payload(const char *text, size_t len)
{
	struct eio_payload p = { .text = text, .len = len };
	struct eio_packet k;
	int rc;

	while ((rc = eio_payload_next(&p, &k)) > 0) {
		if (out.len > 0)
			buf_putc(&out, '|');
		eio_put(&out, k.type, k.data, k.len);
	}
	if (rc < 0)
		buf_putc(&out, '#');
}

static void
test_payload(void **state)
{
	static const struct {
		const char *text, *packets;
	} rows[] = {
		{ "40{\"token\":\"tok\"}", "40{\"token\":\"tok\"}" },
		{ "420[\"session:join\",\"nope\"]\x1e"
		  "421[\"session:leave\",\"nope\"]",
		    "420[\"session:join\",\"nope\"]|421[\"session:leave\","
		    "\"nope\"]" },
		{ "3\x1e"
		  "1",
		    "3|1" },
		{ "", "#" },
		{ "\x1e", "#" },
		{ "3\x1e", "3#" },
		{ "3\x1e\x1e"
		  "3",
		    "3#" },
		{ "9", "#" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		read_payload(rows[i].text, strlen(rows[i].text));
		assert_written(rows[i].packets);
	}
}

/* The frame that was captured has 107 bytes: 81 6b 30 7b 22 73 69 64. */
static void
test_open(void **state)
{
	struct eio_open o = { .sid = "7SSEZNeI66_cBsNaAAAH",
		.ping_interval_ms = 25000,
		.ping_timeout_ms = 20000,
		.max_payload_bytes = 1000000 };

	(void)state;
	eio_put_open(&out, &o);
	assert_int_equal(out.len, 0x6b);
	assert_written("0{\"sid\":\"7SSEZNeI66_cBsNaAAAH\",\"upgrades\":[],"
		       "\"pingInterval\":25000,\"pingTimeout\":20000,"
		       "\"maxPayload\":1000000}");
	o.sid = "meDqHPZUJ-PdqS76AAAF";
	o.upgrades = 1;
	eio_put_open(&out, &o);
	assert_written("0{\"sid\":\"meDqHPZUJ-PdqS76AAAF\",\"upgrades\":["
		       "\"websocket\"],\"pingInterval\":25000,\"pingTimeout\":"
		       "20000,\"maxPayload\":1000000}");
}

/* ---- Socket.IO ---- */

static void
test_written(void **state)
{
	(void)state;
	sio_put_connect(&out, "L56-bnIXjGCV3upxAAAD");
	assert_int_equal(out.len, 0x20);
	assert_written("40{\"sid\":\"L56-bnIXjGCV3upxAAAD\"}");
	sio_put_connect_error(&out, "/", "Invalid API key");
	assert_written("44{\"message\":\"Invalid API key\"}");
	sio_put_connect_error(&out, "/admin", "Invalid namespace");
	assert_written("44/admin,{\"message\":\"Invalid namespace\"}");
	sio_put_disconnect(&out);
	assert_written("41");
	sio_put_event(&out, "session:status", "{\"a\":1}", 7);
	assert_written("42[\"session:status\",{\"a\":1}]");
	sio_put_event(&out, "x", NULL, 0);
	assert_written("42[\"x\"]");
	sio_put_ack(&out, 1, "{\"success\":true}", 16);
	assert_written("431[{\"success\":true}]");
	sio_put_ack(&out, 12, NULL, 0);
	assert_written("4312[]");
}

static void
test_read(void **state)
{
	static const struct {
		const char *text;
		enum sio_type type;
		const char *nsp;
		int attachments, ack;
		const char *event, *data;
	} rows[] = {
		{ "0", SIO_CONNECT, "/", 0, -1, "", NULL },
		{ "0{\"token\":\"abc\"}", SIO_CONNECT, "/", 0, -1, "",
		    "{\"token\":\"abc\"}" },
		{ "0/admin,", SIO_CONNECT, "/admin", 0, -1, "", NULL },
		{ "0/admin", SIO_CONNECT, "/admin", 0, -1, "", NULL },
		{ "0/a,{\"b\":1}", SIO_CONNECT, "/a", 0, -1, "", "{\"b\":1}" },
		{ "1", SIO_DISCONNECT, "/", 0, -1, "", NULL },
		{ "1/admin,", SIO_DISCONNECT, "/admin", 0, -1, "", NULL },
		{ "20[\"session:join\",\"nope\"]", SIO_EVENT, "/", 0, 0,
		    "session:join", "[\"session:join\",\"nope\"]" },
		{ "212[\"x\"]", SIO_EVENT, "/", 0, 12, "x", "[\"x\"]" },
		{ "2[\"x\",1,null]", SIO_EVENT, "/", 0, -1, "x",
		    "[\"x\",1,null]" },
		{ "2[7]", SIO_EVENT, "/", 0, -1, "", "[7]" },
		{ "2/n,5[\"x\"]", SIO_EVENT, "/n", 0, 5, "x", "[\"x\"]" },
		{ "30[{\"ok\":true}]", SIO_ACK, "/", 0, 0, "",
		    "[{\"ok\":true}]" },
		{ "4{\"message\":\"m\"}", SIO_CONNECT_ERROR, "/", 0, -1, "",
		    "{\"message\":\"m\"}" },
		{ "4\"m\"", SIO_CONNECT_ERROR, "/", 0, -1, "", "\"m\"" },
		{ "51-[\"up\",{\"_placeholder\":true,\"num\":0}]",
		    SIO_BINARY_EVENT, "/", 1, -1, "up",
		    "[\"up\",{\"_placeholder\":true,\"num\":0}]" },
		{ "510-/n,3[\"up\"]", SIO_BINARY_EVENT, "/n", 10, 3, "up",
		    "[\"up\"]" },
		{ "61-4[1]", SIO_BINARY_ACK, "/", 1, 4, "", "[1]" },
		{ "2999999999999999[\"x\"]", SIO_EVENT, "/", 0, -2, "x",
		    "[\"x\"]" },
	};
	struct sio_packet p;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    sio_read(a, rows[i].text, strlen(rows[i].text), &p, &err),
		    0);
		assert_int_equal(p.type, rows[i].type);
		assert_string_equal(p.nsp, rows[i].nsp);
		assert_int_equal(p.attachments, rows[i].attachments);
		assert_int_equal(p.ack,
		    rows[i].ack == -2 ? INT64_C(999999999999999) : rows[i].ack);
		assert_string_equal(p.event, rows[i].event);
		assert_int_equal(p.data == NULL, rows[i].data == NULL);
		if (p.data != NULL) {
			json_print(&out, p.data);
			assert_written(rows[i].data);
		}
	}
}

static void
test_refused(void **state)
{
	static const char *const rows[] = { "", "7", "x", "0[]", "0\"x\"",
		"0null", "1{}", "2", "2{}", "2[]", "2[null]", "2[{}]",
		"2[\"connect\"]", "2[\"connect_error\"]", "2[\"disconnect\"]",
		"2[\"disconnecting\"]", "2[\"newListener\"]",
		"2[\"removeListener\"]", "2[\"x\"", "2[\"x\"]]", "3", "31",
		"31{}", "5[\"x\"]", "5-[\"x\"]", "511-[\"x\"]", "5x-[\"x\"]",
		"51[\"x\"]", "61[1]", "4[]", "2-1[\"x\"]",
		"21234567890123456[\"x\"]", "0/\xff,", "2[\"\xff\"]",
		"0/01234567890123456789012345678901234567890123456789012345678"
		"90123456789012345678901234567890123456789012345678901234567890"
		"123456789," };
	struct sio_packet p;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		err_clear(&err);
		assert_int_equal(
		    sio_read(a, rows[i], strlen(rows[i]), &p, &err), -1);
		assert_int_equal(err.code, ERR_REQUEST);
	}
	assert_int_equal(sio_read(a, "0/\0x,", 5, &p, &err), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_types),
		TEST(test_payload),
		TEST(test_open),
		TEST(test_written),
		TEST(test_read),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
