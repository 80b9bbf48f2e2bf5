/* SPDX-License-Identifier: MIT */
#ifndef AGENT_REMINDER_H
#define AGENT_REMINDER_H

struct buf;

/*
 * A text as the content of a message that is for the model alone, in the form
 * of spec/kode.md, section 1.11: a JSON array with one block.
 */
void reminder_content(struct buf *out, const char *text);

#endif
