// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

// difference is an answer of hvgo's that is not Linux's, and why. Names and answers
// are lists with | between; an answer may end in *.
type difference struct {
	calls       string
	args        string // an argument is one of these; empty: any
	linux, hvgo string
	why         string
}

// differences are what is known and meant so far: one that is gone has to go from
// here, too.
var differences = []difference{
	{"clock_gettime|clock_getres|clock_nanosleep|timer_create", "0x8|0x9", "*", "EINVAL|ENOTSUP", "there is no real-time clock that could wake the machine, as on a Linux without one"},
	{"membarrier|epoll_pwait2|rt_sigtimedwait|rt_sigsuspend|time|sched_setaffinity|set_robust_list", "", "*", "ENOSYS", "not served: Go does without"},
	{"mmap|mmap fixed", "null|0x32|0x100022", "ok", "EPERM", "the lowest 64 KiB are never mapped, for root neither"},
	{"mmap|mmap fixed", "0x122|0x132", "ok", "ENOTSUP", "MAP_GROWSDOWN: no mapping grows"},
	{"fchmod|fchown", "", "=0", "EINVAL", "pipes, sockets and eventfds have neither mode nor owner that anybody could ask for"},
	{"link|linkat", "root", "EXDEV", "EPERM", "the folder is on a file system of its own there, and on the root's here"},
	{"rename|renameat|renameat2", "root", "EXDEV", "EBUSY", "likewise"},
	{"futex wake", "end of user space", "=0", "EFAULT", "Linux lets a word begin where the program's addresses end"},
}
