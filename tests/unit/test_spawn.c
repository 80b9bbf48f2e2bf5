/* SPDX-License-Identifier: MIT */
/*
 * Children: which descriptors, signals, arguments and variables they get.
 * The child is sh(1), which tells what it finds.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/spawn.h"

static int
cloexec_pipe(int fds[2])
{
	return pipe2(fds, O_CLOEXEC);
}

/* An open descriptor of this number whose content is text. */
static int
text_fd(const char *text, int number)
{
	int fds[2];

	assert_int_equal(cloexec_pipe(fds), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
	close(fds[1]);
	if (number >= 0 && number != fds[0]) {
		assert_int_equal(dup3(fds[0], number, O_CLOEXEC), number);
		close(fds[0]);
		return number;
	}
	return fds[0];
}

static int blocked; /* what run_script asks for */

/* Runs a script with fds and, as descriptor 3 + fd_count, a pipe to here. */
static int
run_script(const char *script, const int *fds, int fd_count, char *const *env,
    char *out, size_t size)
{
	char *argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
		(char *)(uintptr_t)script, (char *)(uintptr_t) "zero",
		(char *)(uintptr_t) "one two", NULL };
	struct spawn s = { .path = "/bin/sh",
		.argv = argv,
		.env = env,
		.fd_count = fd_count + 1,
		.blocked = blocked };
	int pipe_fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(cloexec_pipe(pipe_fds), 0);
	for (int i = 0; i < fd_count; i++)
		s.fds[i] = fds[i];
	s.fds[fd_count] = pipe_fds[1];
	pid = spawn_start(&s, NULL);
	close(pipe_fds[1]);
	assert_true(pid > 0);
	while ((n = read(pipe_fds[0], out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static char *no_env[] = { NULL };

/* Each of the numbers, in this order, arrives as 3, 4, ... */
static void
expect_passed(const int *numbers, int count)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f",
		"g" };
	char out[200], wanted[16] = "";
	int fds[SPAWN_FDS_MAX];
	char script[] = "cat <&3 >&9; cat <&4 >&9; cat <&5 >&9";
	char *to;

	assert_in_range(count, 1, 3);
	for (int i = 0; i < count; i++) {
		fds[i] = text_fd(names[i], numbers[i]);
		strncat(wanted, names[i], 2);
	}
	script[(size_t)count * 13 - 2] = '\0';
	for (to = script; (to = strchr(to, '9')) != NULL; to++)
		*to = (char)('3' + count);
	assert_int_equal(
	    run_script(script, fds, count, no_env, out, sizeof(out)), 0);
	assert_string_equal(out, wanted);
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

static void
test_descriptors(void **state)
{
	static const int any[] = { -1, -1, -1 }, high[] = { 50, 40, 30 },
			 crossed[] = { 5, 3, 4 }, same[] = { 3, 4, 5 };

	(void)state;
	expect_passed(any, 1);
	expect_passed(any, 3);
	expect_passed(high, 3);
	expect_passed(crossed, 3);
	expect_passed(same, 3);
}

/* No number that a descriptor may have is special. */
static void
test_descriptors_of_any_number(void **state)
{
	(void)state;
	for (int n = 190; n < 215; n++) {
		const int up[] = { n, n + 1, n + 2 },
			  down[] = { n + 2, n + 1, n };

		expect_passed(up, 3);
		expect_passed(down, 3);
	}
}

/* sh opens the folder itself, as one more. */
static void
test_others_are_closed(void **state)
{
	char out[200];
	int leak = open("/dev/null", O_RDONLY), high = dup2(leak, 150);

	(void)state;
	assert_int_equal(run_script("cd /proc/$$/fd && echo * >&3", NULL, 0,
			     no_env, out, sizeof(out)),
	    0);
	if (strcmp(out, "0 1 2 3 4\n") != 0 && strcmp(out, "0 1 2 3 10\n") != 0)
		assert_string_equal(out, "0 1 2 3\n");
	close(leak);
	close(high);
}

static void
test_arguments_and_environment(void **state)
{
	char *env[] = { (char *)(uintptr_t) "ONLY=this", NULL };
	char out[400];

	(void)state;
	setenv("SECRET", "in the parent", 1);
	assert_int_equal(run_script("echo \"$0,$1,$#,$ONLY,$SECRET\" >&3", NULL,
			     0, env, out, sizeof(out)),
	    0);
	assert_string_equal(out, "zero,one two,1,this,\n");
}

static void
on_signal(int sig)
{
	(void)sig;
}

/* The value of a line of /proc/PID/status. */
static unsigned long long
status_bits(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	assert_non_null(p);
	return strtoull(p + strlen(name), NULL, 16);
}

/*
 * Blocked, ignored or handled here: default and unblocked there. glibc leaves
 * its own two signals, 32 and 33, ignored.
 */
static void
test_signals(void **state)
{
	struct sigaction handle = { .sa_handler = on_signal },
			 ignore = { .sa_handler = SIG_IGN }, was[3];
	sigset_t all, before;
	char out[4000];

	(void)state;
	sigaction(SIGUSR1, &handle, &was[0]);
	sigaction(SIGPIPE, &ignore, &was[1]);
	sigaction(SIGHUP, &ignore, &was[2]);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	assert_int_equal(run_script("exec cat /proc/self/status >&3", NULL, 0,
			     no_env, out, sizeof(out)),
	    0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	sigaction(SIGUSR1, &was[0], NULL);
	sigaction(SIGPIPE, &was[1], NULL);
	sigaction(SIGHUP, &was[2], NULL);
	assert_int_equal(status_bits(out, "SigBlk:"), 0);
	assert_int_equal(
	    status_bits(out, "SigIgn:") & ~UINT64_C(0x180000000), 0);
	assert_int_equal(status_bits(out, "SigCgt:"), 0);
}

/* Others' signals wait; its own faults do not. */
static void
test_blocked_signals(void **state)
{
	char out[64];
	int status;

	(void)state;
	blocked = 1;
	status = run_script("kill -TERM $$; kill -USR1 $$; echo lives >&3; "
			    "kill -ABRT $$; echo still >&3",
	    NULL, 0, no_env, out, sizeof(out));
	blocked = 0;
	assert_string_equal(out, "lives\n");
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void
test_process_group(void **state)
{
	char out[400];

	(void)state;
	assert_int_equal(run_script("cut -d' ' -f5 /proc/self/stat >&3", NULL,
			     0, no_env, out, sizeof(out)),
	    0);
	assert_int_equal(atoi(out), getpgrp());
}

static void
test_exit_status(void **state)
{
	char out[10];
	int status;

	(void)state;
	status = run_script("exit 7", NULL, 0, no_env, out, sizeof(out));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void
test_failures(void **state)
{
	char *argv[] = { (char *)(uintptr_t) "x", NULL };
	struct spawn s = {
		.path = "/nonexistent", .argv = argv, .env = no_env
	};
	struct err err = { 0 };

	(void)state;
	assert_int_equal(spawn_start(&s, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_non_null(strstr(err.text, "/nonexistent"));
	s.path = "/bin/true";
	s.fds[0] = -1;
	s.fd_count = 1;
	assert_int_equal(spawn_start(&s, &err), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_descriptors_of_any_number),
		cmocka_unit_test(test_others_are_closed),
		cmocka_unit_test(test_arguments_and_environment),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_blocked_signals),
		cmocka_unit_test(test_process_group),
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
