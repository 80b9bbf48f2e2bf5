/* SPDX-License-Identifier: MIT */
/* JSON-RPC 2.0: see message.h. */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "mcp/message.h"

#define DEPTH 48
#define NO_SUCH_METHOD (-32601)

int
mcp_message_read(struct arena *a, const char *text, size_t len,
    struct mcp_message *out, struct err *err)
{
	const struct json *j = json_parse(a, text, len, DEPTH, err);
	const char *version;

	memset(out, 0, sizeof(*out));
	if (j == NULL)
		return err_prefix(err, "a message");
	version = json_get_str(j, "jsonrpc");
	if (version == NULL || strcmp(version, "2.0") != 0)
		return err_set(
		    err, ERR_REQUEST, "a message is not JSON-RPC 2.0");
	out->method = json_get_str(j, "method");
	out->params = json_get(j, "params");
	out->id_json = json_get(j, "id");
	if (out->method != NULL)
		return 0;
	out->result = json_get(j, "result");
	out->error = json_get(j, "error");
	if (!json_get_int(j, "id", &out->id) ||
	    (out->result == NULL && out->error == NULL))
		return err_set(err, ERR_REQUEST,
		    "a message is neither a request nor a response");
	return 0;
}

void
mcp_request_write(
    struct buf *b, int64_t id, const char *method, const char *params)
{
	json_open(b, NULL, '{');
	json_add_str(b, "jsonrpc", "2.0");
	if (id != 0)
		json_add_int(b, "id", id);
	json_add_str(b, "method", method);
	if (params != NULL)
		json_add_raw(b, "params", params, strlen(params));
	json_close(b, '}');
}

void
mcp_answer_write(struct buf *b, const struct json *id, const char *result)
{
	json_open(b, NULL, '{');
	json_add_str(b, "jsonrpc", "2.0");
	json_add_json(b, "id", id);
	if (result != NULL) {
		json_add_raw(b, "result", result, strlen(result));
	} else {
		json_open(b, "error", '{');
		json_add_int(b, "code", NO_SUCH_METHOD);
		json_add_str(b, "message", "this client does not offer that");
		json_close(b, '}');
	}
	json_close(b, '}');
}
