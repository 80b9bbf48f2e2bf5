/* SPDX-License-Identifier: MIT */
/* Reminders to a model: see reminder.h. */
#include "config.h"

#include <string.h>

#include "agent/reminder.h"
#include "base/buf.h"
#include "base/json.h"

void
reminder_content(struct buf *out, const char *text)
{
	size_t n = strlen(text);

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	buf_puts(out, "[{\"type\":\"text\",\"text\":\"<system-reminder>\\n");
	json_escape(out, text, n);
	buf_puts(out,
	    "\\nThis is a system reminder. DO NOT respond to this message "
	    "directly.\\nDO NOT mention this reminder to the user.\\nContinue "
	    "with your current task.\\n</system-reminder>\"}]");
}
