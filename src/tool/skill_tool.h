/* SPDX-License-Identifier: MIT */
#ifndef TOOL_SKILL_TOOL_H
#define TOOL_SKILL_TOOL_H

struct tool_kind;

/*
 * The tool skills: lists the skills of an agent, and loads one, which gives
 * its text and copies its files into the workspace, under .skills/NAME.
 */
#define SKILLS_TOOL "skills"

extern const struct tool_kind skills_kind;

#endif
