/* SPDX-License-Identifier: MIT */
/* The tar format (POSIX.1-2017, pax), as far as it is written here. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "sandboxd/tar.h"

#define BLOCK 512
#define SIZE_MAX_OCTAL INT64_C(077777777777)

struct header {
	char name[100];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char sum[8];
	char type;
	char target[100];
	char magic[6], version[2];
	char user[32], group[32];
	char major[8], minor[8];
	char prefix[155];
	char unused[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

static void
put_octal(char *field, size_t size, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%0*" PRIo64, (int)size - 1, value);
	memcpy(field, text, size);
}

/* As much of a text as the field holds; it needs no 0 byte at its end. */
static void
put_text(char *field, size_t size, const char *text)
{
	size_t n = strlen(text);

	memcpy(field, text, n < size ? n : size);
}

static void
put_block(struct buf *out, struct header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned sum = 0;

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memset(h->sum, ' ', sizeof(h->sum));
	for (size_t i = 0; i < BLOCK; i++)
		sum += p[i];
	put_octal(h->sum, 7, sum);
	buf_add(out, h, BLOCK);
}

/* "LENGTH name=value\n", where the length counts itself. */
static void
put_record(struct buf *records, const char *name, const char *value)
{
	size_t rest = strlen(name) + strlen(value) + 3, digits = 1, power = 10;

	while (rest + digits >= power) {
		digits++;
		power *= 10;
	}
	buf_printf(records, "%zu %s=", rest + digits, name);
	buf_puts(records, value);
	buf_putc(records, '\n');
}

/* 1 if a header's own field can say it: short enough, and of no charset. */
static int
is_plain(const char *text, size_t max)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] >= 0x80)
			return 0;
	return n <= max;
}

/* Names that are no UTF-8 are said to be only bytes. */
static void
put_names(struct buf *records, const char *name, const char *target)
{
	int utf8 = json_utf8_whole(name, strlen(name)) == strlen(name) &&
		   json_utf8_whole(target, strlen(target)) == strlen(target);
	size_t max = sizeof(((struct header *)0)->name);

	if (!utf8)
		put_record(records, "hdrcharset", "BINARY");
	if (!is_plain(name, max))
		put_record(records, "path", name);
	if (!is_plain(target, max))
		put_record(records, "linkpath", target);
}

/* What the header has no room for, as an entry before it. */
static void
put_extension(struct buf *out, const struct buf *records)
{
	struct header h = { .type = 'x' };

	if (records->len == 0)
		return;
	put_text(h.name, sizeof(h.name), "././@PaxHeader");
	put_octal(h.mode, sizeof(h.mode), 0644);
	put_octal(h.uid, sizeof(h.uid), 0);
	put_octal(h.gid, sizeof(h.gid), 0);
	put_octal(h.size, sizeof(h.size), (int64_t)records->len);
	put_octal(h.mtime, sizeof(h.mtime), 0);
	put_block(out, &h);
	buf_add(out, records->data, records->len);
	tar_put_padding(out, (int64_t)records->len);
}

int
tar_takes(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) ||
	       S_ISLNK(st->st_mode);
}

static int64_t
clamp(int64_t value)
{
	return value < 0 ? 0 : value > SIZE_MAX_OCTAL ? SIZE_MAX_OCTAL : value;
}

void
tar_put_header(struct buf *out, const char *name, const struct stat *st,
    const char *target)
{
	struct header h = { .type = S_ISDIR(st->st_mode)   ? '5'
				    : S_ISLNK(st->st_mode) ? '2'
							   : '0' };
	int64_t size = S_ISREG(st->st_mode) ? st->st_size : 0;
	struct buf full, records;
	char text[24];

	buf_init(&full, NULL);
	buf_init(&records, NULL);
	buf_puts(&full, name);
	if (S_ISDIR(st->st_mode))
		buf_putc(&full, '/');
	put_names(&records, full.data, target == NULL ? "" : target);
	if (size > SIZE_MAX_OCTAL) {
		snprintf(text, sizeof(text), "%" PRId64, size);
		put_record(&records, "size", text);
	}
	put_extension(out, &records);
	put_text(h.name, sizeof(h.name), full.data);
	put_text(h.target, sizeof(h.target), target == NULL ? "" : target);
	put_octal(h.mode, sizeof(h.mode), st->st_mode & 0777);
	put_octal(h.uid, sizeof(h.uid), 0);
	put_octal(h.gid, sizeof(h.gid), 0);
	put_octal(h.size, sizeof(h.size), clamp(size));
	put_octal(h.mtime, sizeof(h.mtime), clamp(st->st_mtim.tv_sec));
	put_block(out, &h);
	buf_fini(&full);
	buf_fini(&records);
}

static void
put_zeros(struct buf *out, size_t len)
{
	static const char zeros[2 * BLOCK];

	buf_add(out, zeros, len);
}

void
tar_put_padding(struct buf *out, int64_t size)
{
	put_zeros(out, (size_t)(-size & (BLOCK - 1)));
}

void
tar_put_end(struct buf *out)
{
	put_zeros(out, 2 * BLOCK);
}
