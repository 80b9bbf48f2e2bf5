/* SPDX-License-Identifier: MIT */
#ifndef AGENT_FORMS_H
#define AGENT_FORMS_H

#include "model/call.h"
#include "store/history.h"

struct arena;

/*
 * Histories in the form that an agent's model wants: the model's wire, seen
 * from the store. Immutable once made; any thread.
 */
struct forms;

/* models must outlive it. */
struct forms *forms_new(const struct models *models);
void forms_free(struct forms **f_p);

/* For history_cache_new, with the forms as ctx: the default model's form where
 * there is no model of that name. */
const struct history_form *forms_choose(void *forms, const char *model);

const struct history_form *forms_of(
    const struct forms *f, const struct model *m);

/* Whose form that is. */
const struct model *form_model(const struct history_form *form);

/* How many entries of the model's list are in the history's text. */
int64_t form_entries(const struct history *h);

/* What the model's wire knows of the round that runs. */
unsigned form_round(const struct history *h);

/* The start of a request and one user's message in it, in the model's form.
 * Returns its entries. */
int64_t form_message(
    struct arena *a, const struct model *m, struct buf *out, const char *text);

/* Tools in the model's form: a JSON value, in a; "" none. tools are
 * [{"name","description","input_schema"}...] or "". */
const char *form_tools(
    struct arena *a, const struct model *m, const char *tools);

#endif
