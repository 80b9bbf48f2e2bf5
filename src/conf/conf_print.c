/* SPDX-License-Identifier: MIT */
/*
 * The table of settings for people: agent-fpm.conf(5) in mdoc, and the
 * sample file, in which every setting stands commented out with its default.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/conf_priv.h"

#define SAMPLE_WIDTH 76

static int
in_section(const struct setting *s, const char *section)
{
	size_t n = strlen(section);

	if (n == 0)
		return strchr(s->name, '.') == NULL ||
		       strncmp(s->name, "listen.", 7) == 0 ||
		       strncmp(s->name, "pm.", 3) == 0;
	return strncmp(s->name, section, n) == 0 && s->name[n] == '.';
}

/* The key as it is written below its section's heading. */
static const char *
key_in(const struct setting *s, const char *section)
{
	return *section == '\0' ? s->name : s->name + strlen(section) + 1;
}

/* prose as comment lines of a bounded width. */
static void
print_comment(struct buf *out, const char *prose)
{
	size_t column = 0, n;

	while (*prose != '\0') {
		n = strcspn(prose, " ");
		if (column == 0 || column + 1 + n > SAMPLE_WIDTH) {
			buf_puts(out, column == 0 ? "# " : "\n# ");
			column = 2;
		} else {
			buf_putc(out, ' ');
			column++;
		}
		buf_add(out, prose, n);
		column += n;
		prose += n;
		prose += strspn(prose, " ");
	}
	buf_putc(out, '\n');
}

static void
print_sample_section(struct buf *out, const struct setting_section *sec)
{
	buf_printf(out, "\n# %s\n", sec->title);
	if (*sec->name != '\0')
		buf_printf(
		    out, sec->named ? "#[%s NAME]\n" : "[%s]\n", sec->name);
	for (size_t i = 0; i < settings_count; i++) {
		if (!in_section(&settings[i], sec->name))
			continue;
		buf_putc(out, '\n');
		print_comment(out, settings[i].prose);
		if (settings[i].choices != NULL)
			buf_printf(out, "# One of: %s.\n", settings[i].choices);
		buf_printf(out, "#%s = %s\n", key_in(&settings[i], sec->name),
		    settings[i].fallback);
	}
}

void
conf_print_sample(struct buf *out)
{
	buf_puts(out,
	    "# agent-fpm.conf: see agent-fpm.conf(5). agent-fpm -t checks "
	    "it.\n"
	    "#\n"
	    "# Every setting is listed with its default; remove the # to "
	    "change one.\n"
	    "# What stands behind a blank and a ; is a comment.\n"
	    "# Times are 15ms, 30s, 5m or 1h; sizes are 512, 64k or 1m; rates "
	    "60/1m.\n");
	for (size_t i = 0; i < setting_sections_count; i++)
		print_sample_section(out, &setting_sections[i]);
}

/* Text that roff must not read as a command. */
static void
print_roff(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			buf_puts(out, "\\e");
		else if (*text == '-')
			buf_puts(out, "\\-");
		else
			buf_putc(out, *text);
		/* a sentence a line, as mdoc wants it */
		if ((*text == '.' || *text == '?') && text[1] == ' ') {
			buf_putc(out, '\n');
			text++;
		}
	}
	buf_putc(out, '\n');
}

static void
print_man_section(struct buf *out, const struct setting_section *sec)
{
	buf_printf(out, ".Ss %s\n.Bl -tag -width Ds\n", sec->title);
	for (size_t i = 0; i < settings_count; i++) {
		if (!in_section(&settings[i], sec->name))
			continue;
		buf_printf(out, ".It Ic %s\n", settings[i].name);
		print_roff(out, settings[i].prose);
		if (settings[i].choices != NULL)
			buf_printf(out, "One of: %s.\n", settings[i].choices);
		if (*settings[i].fallback != '\0')
			buf_printf(
			    out, "Default:\n.Ql %s\n", settings[i].fallback);
	}
	buf_puts(out, ".El\n");
}

void
conf_print_man(struct buf *out)
{
	buf_puts(out,
	    ".\\\" SPDX-License-Identifier: MIT\n"
	    ".\\\" Made from the table of settings by agent-fpm --settings "
	    "man.\n"
	    ".Dd November 20, 2026\n"
	    ".Dt AGENT-FPM.CONF 5\n"
	    ".Os\n"
	    ".Sh NAME\n"
	    ".Nm agent-fpm.conf\n"
	    ".Nd configuration of the agent-fpm pool\n"
	    ".Sh DESCRIPTION\n"
	    "An INI file: sections in brackets, lines of\n"
	    ".Ql name = value ,\n"
	    "comments that start with # or ;.\n"
	    "In a line, a blank and a ; begin a comment too: no value can "
	    "have them.\n"
	    "Sections\n"
	    ".Ql [model NAME] ,\n"
	    ".Ql [provider NAME] ,\n"
	    ".Ql [issuer NAME]\n"
	    "and\n"
	    ".Ql [api_key NAME]\n"
	    "may be there many times.\n"
	    "A setting's full name is its section, a dot and its name; it may "
	    "be\nwritten so anywhere.\n"
	    "Times are given as 15ms, 30s, 5m or 1h, sizes as 512, 64k or "
	    "1m.\n"
	    "A line has at most 198 characters.\n"
	    ".Pp\n"
	    ".Ql agent-fpm -t\n"
	    "checks the file and names the line of every mistake.\n"
	    ".Sh SETTINGS\n");
	for (size_t i = 0; i < setting_sections_count; i++)
		print_man_section(out, &setting_sections[i]);
	buf_puts(out, ".Sh FILES\n"
		      ".Bl -tag -width Ds\n"
		      ".It Pa " CONF_DEFAULT_PATH "\n"
		      "The default file.\n"
		      ".El\n"
		      ".Sh SEE ALSO\n"
		      ".Xr redis-server 1 ,\n"
		      ".Xr agent-fpm 8 ,\n"
		      ".Xr nginx 8\n");
}
