/* SPDX-License-Identifier: MIT */
/*
 * The parts of a candidate of Gemini's, and the blocks they become.
 *
 * Texts are pieces of one block until a part of another kind comes, or a
 * signature: what is signed is a part, and must go back as the part it was. A
 * signature often comes on a part without text behind the text; for people it
 * is that text's, in the history it is a part of its own again. A call comes
 * whole. Every other part is kept and sent back as it came.
 *
 * What the neutral block does not say of a part is its native form: the
 * members of the part beside its text or its call, and the id of the call if
 * Gemini gave one, which ours takes the place of.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/words.h"
#include "model/decode_priv.h"
#include "model/gemini_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int
gemini_member(const struct json *from, const char *name, enum json_type type,
    const struct json **m_r, struct err *err)
{
	*m_r = json_get(from, name);
	if (json_is(*m_r, JSON_NULL))
		*m_r = NULL;
	if (*m_r != NULL && !json_is(*m_r, type))
		return err_set(
		    err, ERR_MODEL, "%s is not of its type in the event", name);
	return 0;
}

/* The signature of a part, or NULL. */
static const char *
signature_of(const struct json *part)
{
	const char *text = json_get_str(part, "thoughtSignature");

	return text == NULL || *text == '\0' ? NULL : text;
}

static struct model_block *
last_block(struct model_decode *d)
{
	struct model_result *r = &d->r;

	return r->block_count == 0 ? NULL : &r->block[r->block_count - 1];
}

/* ---- what goes back beside the neutral block ---- */

/* Members of a part that the neutral block says, or that say nothing. */
static const char *const said[] = { "text", "thought", "functionCall", NULL };

static int
keep_native(struct model_decode *d, struct model_block *b,
    const struct json *part, const char *id, struct err *err)
{
	const struct json *m = json_first(part);
	struct buf own;
	int rc = 0;

	buf_init(&own, d->scratch);
	json_open(&own, NULL, '{');
	if (id != NULL && *id != '\0')
		json_add_str(&own, "id", id);
	for (; m != NULL; m = json_next(m))
		if (!json_is(m, JSON_NULL) &&
		    !words_list_has(said, json_name(m)))
			json_add_json(&own, json_name(m), m);
	json_close(&own, '}');
	if (own.len > 2)
		rc = decode_keep(d, &b->native, own.data, own.len, err);
	return rc;
}

/* ---- text ---- */

/* Part of the block before, unless that is signed. */
static struct model_block *
text_block(struct model_decode *d, int is_thought, struct err *err)
{
	enum model_block_kind kind =
	    is_thought ? MODEL_BLOCK_THINKING : MODEL_BLOCK_TEXT;
	struct model_block *b = last_block(d);

	if (b != NULL && b->kind == kind && b->native.len == 0)
		return b;
	return decode_block_new(d, kind, is_thought ? "thinking" : "text", err);
}

static int
add_text(struct model_decode *d, const struct json *part, const char *text,
    int is_signed, struct err *err)
{
	struct model_block *b;

	if (*text == '\0' && !is_signed)
		return 0;
	b = text_block(d, json_get_true(part, "thought"), err);
	if (b == NULL)
		return -1;
	b->native_at = b->text.len;
	if (is_signed) {
		text_frame_forget(&d->frame); /* no text joins it any more */
		if (keep_native(d, b, part, NULL, err) < 0)
			return -1;
	}
	return decode_show(d, b, text, strlen(text), err);
}

/* ---- calls ---- */

/* Arguments in pieces (partialArgs) come only if a request asks for them. */
static int
is_partial(const struct json *call)
{
	const struct json *args = json_get(call, "partialArgs");

	return json_count(args) > 0 || json_get_true(call, "willContinue");
}

/* Anything else than an object is kept too: the call is then not valid. */
static int
keep_args(struct model_decode *d, struct model_block *b,
    const struct json *args, struct err *err)
{
	b->parsed = args == NULL || json_is(args, JSON_NULL) ||
		    json_is(args, JSON_OBJECT);
	if (json_is(args, JSON_OBJECT) || !b->parsed)
		return decode_keep_json(d, &b->text, args, err);
	return decode_keep(d, &b->text, "{}", 2, err);
}

static int
add_call(struct model_decode *d, const struct json *part,
    const struct json *call, struct err *err)
{
	const char *id = json_get_str(call, "id");
	const char *name = json_get_str(call, "name");
	struct gemini *own = d->own;
	struct model_block *b;

	if (is_partial(call))
		return err_set(err, ERR_MODEL,
		    "the arguments of a call come in pieces, which nobody "
		    "asked for");
	if (name == NULL || *name == '\0')
		return err_set(err, ERR_MODEL, "a tool call has no name");
	b = decode_block_new(d, MODEL_BLOCK_CALL, "tool_use", err);
	if (b == NULL || decode_copy_id(b->id, sizeof(b->id), id, err) < 0 ||
	    decode_copy_id(b->name, sizeof(b->name), name, err) < 0)
		return -1;
	b->closed = 1;
	own->calls++;
	if (keep_args(d, b, json_get(call, "args"), err) < 0)
		return -1;
	return keep_native(d, b, part, id, err);
}

/* ---- other parts ---- */

/* Members that say something of a part, not what it is. */
static const char *const beside[] = { "text", "thought", "thoughtSignature",
	"functionCall", "partMetadata", "videoMetadata", "mediaResolution",
	NULL };

/* The member that makes it what it is, or NULL. */
static const struct json *
part_data(const struct json *part)
{
	const struct json *m = json_first(part);

	while (m != NULL &&
	       (json_is(m, JSON_NULL) || words_list_has(beside, json_name(m))))
		m = json_next(m);
	return m;
}

/* The model's own tools among them: what they did is never run here. */
static int
add_other(struct model_decode *d, const struct json *part,
    const struct json *data, struct err *err)
{
	struct model_block *b =
	    decode_block_new(d, MODEL_BLOCK_OPAQUE, json_name(data), err);

	if (b == NULL || decode_copy_id(b->id, sizeof(b->id),
			     json_get_str(data, "id"), err) < 0)
		return -1;
	b->closed = 1;
	return decode_keep_json(d, &b->native, part, err);
}

int
gemini_part(struct model_decode *d, const struct json *part, struct err *err)
{
	const struct json *text, *call, *data = part_data(part);
	struct gemini *own = d->own;
	int is_signed = signature_of(part) != NULL;

	if (gemini_member(part, "text", JSON_STRING, &text, err) < 0 ||
	    gemini_member(part, "functionCall", JSON_OBJECT, &call, err) < 0)
		return -1;
	own->signatures += is_signed;
	if ((text != NULL || (call == NULL && data == NULL)) &&
	    add_text(d, part, text == NULL ? "" : json_str(text),
		is_signed && call == NULL && data == NULL, err) < 0)
		return -1;
	if (call != NULL)
		return add_call(d, part, call, err);
	return data == NULL ? 0 : add_other(d, part, data, err);
}

/* ---- the content ---- */

/* The model's own tools, and what comes back of them. */
static const struct {
	const char *call, *result;
} tool_parts[] = {
	{ "executableCode", "codeExecutionResult" },
	{ "toolCall", "toolResponse" },
};

static int
has_result(const struct model_result *r, int at, const char *type)
{
	for (int i = at + 1; i < r->block_count; i++)
		if (r->block[i].kind == MODEL_BLOCK_OPAQUE &&
		    strcmp(r->block[i].type, type) == 0 &&
		    strcmp(r->block[i].id, r->block[at].id) == 0)
			return 1;
	return 0;
}

/* Of an answer that did not end, a call of the model's own tools without its
 * result is left out. */
static int
write_other(struct model_decode *d, int at)
{
	const struct model_result *r = &d->r;
	int whole = r->complete && !d->interrupted && !r->failure.failed;

	for (size_t i = 0; !whole && i < COUNT(tool_parts); i++)
		if (strcmp(r->block[at].type, tool_parts[i].call) == 0 &&
		    !has_result(r, at, tool_parts[i].result))
			return 0;
	return decode_write(d, at);
}

static void
write_piece(struct buf *out, const struct model_block *b, size_t from,
    size_t to, int is_signed)
{
	int is_text = b->kind == MODEL_BLOCK_TEXT;

	json_open(out, NULL, '{');
	json_add_str(out, "type", b->type);
	json_add_strn(out, is_text ? "text" : "thinking",
	    buf_str(&b->text) + from, to - from);
	if (is_signed)
		json_add_raw(out, "native", b->native.data, b->native.len);
	json_close(out, '}');
}

/* What came before the signed part, and that part. */
static int
write_signed(struct model_decode *d, const struct model_block *b)
{
	struct buf *out = &d->r.content;

	if (b->native_at > 0)
		write_piece(out, b, 0, b->native_at, 0);
	write_piece(out, b, b->native_at, b->text.len, 1);
	return b->native_at > 0 ? 2 : 1;
}

int
gemini_write(struct model_decode *d, int at)
{
	const struct model_block *b = &d->r.block[at];

	if (b->kind == MODEL_BLOCK_OPAQUE)
		return write_other(d, at);
	if (b->kind != MODEL_BLOCK_CALL && b->native.len > 0)
		return write_signed(d, b);
	return decode_write(d, at);
}
