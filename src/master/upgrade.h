/* SPDX-License-Identifier: MIT */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include <stdint.h>
#include <sys/types.h>

struct err;
struct listener;

/* Descriptors of a successor, in the order in which spawn passes them. */
enum successor_fd {
	SUCCESSOR_FD_LISTEN = 3,
	SUCCESSOR_FD_PARENT, /* a socket to the master that started it */
	SUCCESSOR_FD_CTL,    /* if there is one */
	SUCCESSOR_FD_END
};

/*
 * SIGUSR2: another master, of the program that is in this one's place by now,
 * with the same socket. Either end of the connection between the two.
 */
struct upgrade {
	int fd; /* -1: there is no other one */
	pid_t pid;
	int ready; /* the other one serves, or has been told so */
	int64_t deadline_ms;
};

/* Starts a successor with the configuration at file; it gets the scoreboard
 * board_fd too. 0 or -1. */
int upgrade_start(struct upgrade *u, const struct listener *l,
    const struct listener *ctl, const char *file, int board_fd, int64_t now_ms,
    struct err *err);

/* The new one: the scoreboard that it was given, the caller's; or -1. */
int upgrade_take_board(const struct upgrade *u);

/* A child died. 1 it was a successor that does not serve yet: logged. */
int upgrade_reaped(struct upgrade *u, pid_t pid, int status);

/* Ends one that is not ready in time. */
void upgrade_tick(struct upgrade *u, int64_t now_ms);

/* Ends one that is not ready. */
void upgrade_cancel(struct upgrade *u);

int upgrade_is_pending(const struct upgrade *u);

/* The old one: fd is readable. 1 when the other one serves from now on. */
int upgrade_hear(struct upgrade *u);

/* The old one: a worker has ended, somebody there shall look for its turns. */
void upgrade_tell_look(const struct upgrade *u);

/* The new one: it serves. */
void upgrade_tell_ready(struct upgrade *u);

/* The new one: fd is readable. 1 its workers are to look. */
int upgrade_hear_look(struct upgrade *u);

void upgrade_close(struct upgrade *u);

#endif
