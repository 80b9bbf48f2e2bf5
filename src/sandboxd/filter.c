/* SPDX-License-Identifier: MIT */
/* The list of system calls for commands. */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "sandboxd/filter.h"

#define LOW32 UINT32_MAX
#define NAMESPACES                                                             \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |         \
	    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* Names that a kernel or an architecture does not have are left out. */
static const char *const allowed[] = {
	/* files */
	"access",
	"chdir",
	"chmod",
	"chown",
	"chown32",
	"close",
	"close_range",
	"copy_file_range",
	"creat",
	"dup",
	"dup2",
	"dup3",
	"faccessat",
	"faccessat2",
	"fadvise64",
	"fadvise64_64",
	"fallocate",
	"fchdir",
	"fchmod",
	"fchmodat",
	"fchmodat2",
	"fchown",
	"fchown32",
	"fchownat",
	"fcntl",
	"fcntl64",
	"fdatasync",
	"fgetxattr",
	"flistxattr",
	"flock",
	"fremovexattr",
	"fsetxattr",
	"fstat",
	"fstat64",
	"fstatat64",
	"fstatfs",
	"fstatfs64",
	"fsync",
	"ftruncate",
	"ftruncate64",
	"futimesat",
	"getcwd",
	"getdents",
	"getdents64",
	"getxattr",
	"lchown",
	"lchown32",
	"lgetxattr",
	"link",
	"linkat",
	"listxattr",
	"llistxattr",
	"_llseek",
	"lremovexattr",
	"lseek",
	"lsetxattr",
	"lstat",
	"lstat64",
	"memfd_create",
	"mkdir",
	"mkdirat",
	"mknod",
	"mknodat",
	"newfstatat",
	"open",
	"openat",
	"openat2",
	"pipe",
	"pipe2",
	"pread64",
	"preadv",
	"preadv2",
	"pwrite64",
	"pwritev",
	"pwritev2",
	"read",
	"readahead",
	"readlink",
	"readlinkat",
	"readv",
	"removexattr",
	"rename",
	"renameat",
	"renameat2",
	"rmdir",
	"sendfile",
	"sendfile64",
	"setxattr",
	"splice",
	"stat",
	"stat64",
	"statfs",
	"statfs64",
	"statx",
	"symlink",
	"symlinkat",
	"sync",
	"sync_file_range",
	"syncfs",
	"tee",
	"truncate",
	"truncate64",
	"umask",
	"unlink",
	"unlinkat",
	"utime",
	"utimensat",
	"utimensat_time64",
	"utimes",
	"vmsplice",
	"write",
	"writev",
	/* waiting for them */
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"eventfd",
	"eventfd2",
	"inotify_add_watch",
	"inotify_init",
	"inotify_init1",
	"inotify_rm_watch",
	"ioctl",
	"poll",
	"ppoll",
	"ppoll_time64",
	"pselect6",
	"pselect6_time64",
	"select",
	"_newselect",
	"signalfd",
	"signalfd4",
	"timerfd_create",
	"timerfd_gettime",
	"timerfd_gettime64",
	"timerfd_settime",
	"timerfd_settime64",
	/* memory */
	"brk",
	"madvise",
	"mincore",
	"mlock",
	"mlock2",
	"mlockall",
	"mmap",
	"mmap2",
	"mprotect",
	"mremap",
	"msync",
	"munlock",
	"munlockall",
	"munmap",
	"pkey_alloc",
	"pkey_free",
	"pkey_mprotect",
	"membarrier",
	/* processes and threads */
	"alarm",
	"arch_prctl",
	"capget",
	"execve",
	"execveat",
	"exit",
	"exit_group",
	"fork",
	"futex",
	"futex_time64",
	"futex_waitv",
	"get_robust_list",
	"get_thread_area",
	"getegid",
	"getegid32",
	"geteuid",
	"geteuid32",
	"getgid",
	"getgid32",
	"getgroups",
	"getgroups32",
	"getitimer",
	"getpgid",
	"getpgrp",
	"getpid",
	"getppid",
	"getpriority",
	"getresgid",
	"getresgid32",
	"getresuid",
	"getresuid32",
	"getrlimit",
	"getrusage",
	"getsid",
	"gettid",
	"getuid",
	"getuid32",
	"kill",
	"pause",
	"pidfd_open",
	"pidfd_send_signal",
	"prctl",
	"prlimit64",
	"restart_syscall",
	"rseq",
	"rt_sigaction",
	"rt_sigpending",
	"rt_sigprocmask",
	"rt_sigqueueinfo",
	"rt_sigreturn",
	"rt_sigsuspend",
	"rt_sigtimedwait",
	"rt_sigtimedwait_time64",
	"rt_tgsigqueueinfo",
	"sched_get_priority_max",
	"sched_get_priority_min",
	"sched_getaffinity",
	"sched_getattr",
	"sched_getparam",
	"sched_getscheduler",
	"sched_rr_get_interval",
	"sched_setaffinity",
	"sched_yield",
	"set_robust_list",
	"set_thread_area",
	"set_tid_address",
	"setgid",
	"setgid32",
	"setgroups",
	"setitimer",
	"setpgid",
	"setpriority",
	"setregid",
	"setresgid",
	"setresuid",
	"setreuid",
	"setrlimit",
	"setsid",
	"setuid",
	"setuid32",
	"sigaltstack",
	"sigreturn",
	"tgkill",
	"time",
	"times",
	"tkill",
	"ugetrlimit",
	"uname",
	"vfork",
	"wait4",
	"waitid",
	"waitpid",
	/* time and the rest */
	"clock_getres",
	"clock_getres_time64",
	"clock_gettime",
	"clock_gettime64",
	"clock_nanosleep",
	"clock_nanosleep_time64",
	"getcpu",
	"getrandom",
	"gettimeofday",
	"nanosleep",
	"sysinfo",
	"timer_create",
	"timer_delete",
	"timer_getoverrun",
	"timer_gettime",
	"timer_gettime64",
	"timer_settime",
	"timer_settime64",
	/* talking to each other */
	"accept",
	"accept4",
	"bind",
	"connect",
	"getpeername",
	"getsockname",
	"getsockopt",
	"listen",
	"msgctl",
	"msgget",
	"msgrcv",
	"msgsnd",
	"mq_getsetattr",
	"mq_notify",
	"mq_open",
	"mq_timedreceive",
	"mq_timedsend",
	"mq_unlink",
	"recv",
	"recvfrom",
	"recvmmsg",
	"recvmsg",
	"semctl",
	"semget",
	"semop",
	"semtimedop",
	"send",
	"sendmmsg",
	"sendmsg",
	"sendto",
	"setsockopt",
	"shmat",
	"shmctl",
	"shmdt",
	"shmget",
	"shutdown",
	"socketpair",
	"landlock_add_rule",
	"landlock_create_ruleset",
	"landlock_restrict_self",
	"seccomp",
};

static int
allow_all(scmp_filter_ctx ctx)
{
	int rc = 0;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++) {
		int nr = seccomp_syscall_resolve_name(allowed[i]);

		if (nr != __NR_SCMP_ERROR)
			rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	return rc;
}

/* What is allowed for some arguments only. */
static int
allow_some(scmp_filter_ctx ctx)
{
	static const unsigned families[] = { AF_UNIX, AF_INET, AF_INET6 };
	static const unsigned long personas[] = { 0, 0x0008, 0x0040000,
		0xffffffff };
	int rc = 0;

	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
		    SCMP_A0(SCMP_CMP_EQ, families[i], 0));
	/* Addresses and routes, of a network that has none. */
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
	    SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0), SCMP_A2(SCMP_CMP_EQ, 0, 0));
	for (size_t i = 0; i < sizeof(personas) / sizeof(*personas); i++)
		rc |=
		    seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(personality),
			1, SCMP_A0(SCMP_CMP_EQ, personas[i], 0));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
	    SCMP_A0(SCMP_CMP_MASKED_EQ, NAMESPACES, 0));
	/* Not clone3: its flags are behind a pointer, which no filter sees. The
	 * C library falls back to clone. */
	return rc;
}

/*
 * A second program, for a first cannot both allow a call and refuse some of
 * its arguments. The kernel looks at 32 bits of a request, and so does this.
 */
static int
refuse_requests(scmp_filter_ctx ctx)
{
	static const unsigned requests[] = { TIOCSTI, TIOCLINUX, TIOCSETD,
		TIOCCONS };
	int rc = 0;

	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++)
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM),
		    SCMP_SYS(ioctl), 1,
		    SCMP_A1(SCMP_CMP_MASKED_EQ, LOW32, requests[i]));
	return rc;
}

static int export(scmp_filter_ctx ctx, void **bytes_r, size_t *len_r)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0 || seccomp_export_bpf(ctx, fd) != 0 || fstat(fd, &st) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*len_r = (size_t)st.st_size;
	*bytes_r = malloc(*len_r);
	if (*bytes_r == NULL)
		abort();
	if (pread(fd, *bytes_r, *len_r, 0) != st.st_size)
		abort();
	close(fd);
	return 0;
}

static int
make_one(
    uint32_t fallback, int (*rules[2])(scmp_filter_ctx), struct filter *out)
{
	scmp_filter_ctx ctx = seccomp_init(fallback);
	int rc = ctx == NULL ? -1 : 0;

	for (int i = 0; rc == 0 && i < 2 && rules[i] != NULL; i++)
		rc = rules[i](ctx);
	if (rc == 0)
		rc = export(ctx, &out->bytes, &out->len);
	seccomp_release(ctx);
	return rc;
}

int
filter_make(struct filter out[FILTERS], struct err *err)
{
	memset(out, 0, FILTERS * sizeof(*out));
	if (make_one(SCMP_ACT_ERRNO(ENOSYS),
		(int (*[2])(scmp_filter_ctx)){ allow_all, allow_some },
		&out[0]) != 0 ||
	    make_one(SCMP_ACT_ALLOW,
		(int (*[2])(scmp_filter_ctx)){ refuse_requests, NULL },
		&out[1]) != 0)
		return err_set(err, ERR_CONFIG,
		    "libseccomp makes no filter for this host");
	return 0;
}
