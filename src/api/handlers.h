/* SPDX-License-Identifier: MIT */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

struct err;

/*
 * What the routes of api.c lead to. call is a struct api_call that went
 * through what comes before; each fills its response, or gives it away. 0, or
 * -1 and err.
 */
int agents_create(void *call, struct err *err);
int agents_list(void *call, struct err *err);
int agents_get(void *call, struct err *err);
int agents_patch(void *call, struct err *err);
int agents_delete(void *call, struct err *err);
int chat_post(void *call, struct err *err);
int checkpoints_get(void *call, struct err *err);
int checkpoints_post(void *call, struct err *err);
int fork_post(void *call, struct err *err);
int reminders_post(void *call, struct err *err);
int rewind_post(void *call, struct err *err);
int messages_post(void *call, struct err *err);
int messages_get(void *call, struct err *err);
int inbox_clear(void *call, struct err *err);
int inbox_delete(void *call, struct err *err);
int inbox_get(void *call, struct err *err);
int interrupt_post(void *call, struct err *err);
int events_get(void *call, struct err *err);
int approvals_get(void *call, struct err *err);
int approvals_post(void *call, struct err *err);
int tool_calls_get(void *call, struct err *err);
int todos_get(void *call, struct err *err);
int todos_put(void *call, struct err *err);
int files_list(void *call, struct err *err);
int files_get(void *call, struct err *err);
int files_put(void *call, struct err *err);
int files_delete(void *call, struct err *err);
int tickets_post(void *call, struct err *err);
int capabilities_get(void *call, struct err *err);
int command_post(void *call, struct err *err);
int templates_get(void *call, struct err *err);
int sessions_create(void *call, struct err *err);
int sessions_list(void *call, struct err *err);
int session_get(void *call, struct err *err);
int session_file(void *call, struct err *err);
int session_unload(void *call, struct err *err);
int session_delete(void *call, struct err *err);
int session_sync(void *call, struct err *err);
int session_options(void *call, struct err *err);
int session_message(void *call, struct err *err);
int session_terminate(void *call, struct err *err);
int session_profiles_get(void *call, struct err *err);
int usage_get(void *call, struct err *err);
int whoami_get(void *call, struct err *err);
int health_get(void *call, struct err *err);
int ready_get(void *call, struct err *err);
int live_get(void *call, struct err *err);

#endif
