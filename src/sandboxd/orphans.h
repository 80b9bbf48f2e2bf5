/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_ORPHANS_H
#define SANDBOXD_ORPHANS_H

/*
 * bubblewrap is two processes, and the inner one asks the kernel to die with
 * the outer one only a moment after it was made: if the outer one is killed
 * before that, the inner one is left over, with the command that it goes on to
 * start. Ends those of this user: bubblewraps as launch() starts them that are
 * the first process of a PID namespace, and whose parent is no bubblewrap.
 * Looks at every process once, some milliseconds. How many there were.
 */
int orphans_end(void);

#endif
