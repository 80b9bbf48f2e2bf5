/* SPDX-License-Identifier: MIT */
/* Reading tar archives, as far as the sandbox writes them: untar.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "ctl/untar.h"

#define BLOCK 512
#define NAME_AT 0
#define NAME_SIZE 100
#define SIZE_AT 124
#define SIZE_SIZE 12
#define SUM_AT 148
#define SUM_SIZE 8
#define TYPE_AT 156
#define RECORDS_MAX (1024 * 1024)

static int
cut(struct err *err)
{
	return err_set(err, ERR_REQUEST, "the archive is cut, or is none");
}

static int64_t
octal(const unsigned char *block, size_t at, size_t size)
{
	char text[SIZE_SIZE + 1] = "";

	memcpy(text, block + at, size);
	return strtoll(text, NULL, 8);
}

static int
is_good(const unsigned char *block)
{
	int64_t sum = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= SUM_AT && i < SUM_AT + SUM_SIZE ? ' ' : block[i];
	return octal(block, SUM_AT, SUM_SIZE) == sum;
}

static int
is_zero(const unsigned char *block)
{
	for (size_t i = 0; i < BLOCK; i++)
		if (block[i] != 0)
			return 0;
	return 1;
}

/* size bytes and their padding, appended to out unless that is NULL. */
static int
take(FILE *f, int64_t size, struct buf *out, struct err *err)
{
	char block[BLOCK];
	int64_t left = size;

	for (; left > 0; left -= BLOCK) {
		if (fread(block, BLOCK, 1, f) != 1)
			return cut(err);
		if (out != NULL)
			buf_add(
			    out, block, left < BLOCK ? (size_t)left : BLOCK);
	}
	return 0;
}

/* The value of path in records "LENGTH name=value\n", into name. */
static int
find_path(const struct buf *records, struct buf *name, struct err *err)
{
	const char *p = records->data, *end = p + records->len;
	char *word;
	long n;

	for (; p < end; p += n) {
		n = strtol(p, &word, 10);
		if (n <= 0 || n > end - p || *word != ' ' || p[n - 1] != '\n')
			return cut(err);
		word++;
		if (strncmp(word, "path=", 5) == 0) {
			buf_clear(name);
			buf_add(
			    name, word + 5, (size_t)(p + n - 1 - (word + 5)));
		}
	}
	return 0;
}

int
untar_next(FILE *f, struct untar_entry *e, struct err *err)
{
	unsigned char block[BLOCK];
	struct buf records;
	int rc = 0;

	buf_init(&records, NULL);
	buf_clear(e->name);
	while (rc == 0) {
		if (fread(block, BLOCK, 1, f) != 1) {
			rc = cut(err);
		} else if (is_zero(block)) {
			break;
		} else if (!is_good(block)) {
			rc = cut(err);
		} else if (block[TYPE_AT] == 'x') {
			e->size = octal(block, SIZE_AT, SIZE_SIZE);
			buf_clear(&records);
			rc = e->size > RECORDS_MAX
				 ? cut(err)
				 : take(f, e->size, &records, err);
			if (rc == 0) {
				buf_str(&records);
				rc = find_path(&records, e->name, err);
			}
		} else {
			e->type = (char)block[TYPE_AT];
			e->size = octal(block, SIZE_AT, SIZE_SIZE);
			if (e->name->len == 0)
				buf_add(e->name, block + NAME_AT,
				    strnlen((const char *)block, NAME_SIZE));
			rc = e->size < 0 ? cut(err) : 1;
		}
	}
	buf_fini(&records);
	return rc;
}

int
untar_read(
    FILE *f, const struct untar_entry *e, struct buf *out, struct err *err)
{
	return take(f, e->size, out, err);
}

int
untar_skip(FILE *f, const struct untar_entry *e, struct err *err)
{
	return take(f, e->size, NULL, err);
}
