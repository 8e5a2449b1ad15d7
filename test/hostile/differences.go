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
	since       string // Linux's version that brought its answer; before it there is no difference
}

// differences are what is meant to differ: one that is gone has to go from here, too.
var differences = []difference{
	{"clock_gettime|clock_getres|clock_nanosleep|timer_create", "0x8|0x9", "*", "EINVAL|ENOTSUP", "there is no real-time clock that could wake the machine, as on a Linux without one", ""},
	{"membarrier|epoll_pwait2|rt_sigtimedwait|rt_sigsuspend|time|sched_setaffinity|set_robust_list", "", "*", "ENOSYS", "not served: Go does without", ""},
	{"mmap|mmap fixed", "null|0x32|0x100022", "ok", "EPERM", "the lowest 64 KiB are never mapped, for root neither", ""},
	{"mmap|mmap fixed", "0x122|0x132", "ok", "ENOTSUP", "MAP_GROWSDOWN: no mapping grows", ""},
	{"fchmod|fchown", "udp|tcp|listener|unix stream|unix datagrams|netlink|pipe to read|empty pipe|pipe to write", "=0", "EINVAL", "pipes and sockets have neither mode nor owner that anybody could ask for", ""},
	{"link|linkat", "root", "EXDEV", "EPERM", "the folder is on a file system of its own there, and on the root's here", ""},
	{"rename|renameat|renameat2", "root", "EXDEV", "EBUSY", "likewise", ""},
	{"futex wake", "end of user space", "=0", "EFAULT", "Linux lets a word begin where the program's addresses end", ""},

	// Not served, or less of it.
	{"vmsplice|tee", "", "*", "EINVAL", "not served: Go does without, since EINVAL tells it to", ""},
	{"splice", "", "EFAULT|EINVAL", "ESPIPE", "pipes and sockets have no offsets: that is told before the offset is read", ""},
	{"preadv2|pwritev2", "0x1|0x2|0x4|0x10|0x20|0x100", "=16", "ENOTSUP", "flags other than RWF_NOWAIT are not served", ""},
	{"recvmmsg", "", "=1|EINVAL|EFAULT|ENOTCONN", "ENOTSUP", "a time limit is not served", ""},
	{"renameat2", "0x2", "ENOENT", "EINVAL", "files are not exchanged", ""},
	{"renameat2", "0x4", "=0", "EINVAL", "there are no whiteouts", ""},
	{"clone", "", "EINVAL", "ENOSYS", "threads are made as Go makes them", ""},
	{"mmap of a file", "tcp|listener", "ok", "ENODEV", "receiving by mapping is not served", ""},
	{"socket", "0xa", "ok", "ESOCKTNOSUPPORT", "Linux takes SOCK_PACKET", ""},
	{"sigaltstack", "auto-disarm", "=0", "EINVAL", "SS_AUTODISARM is not served", ""},
	{"ioctl", "netlink", "ENOTTY", "=0", "FIONREAD is answered for all sockets", ""},
	{"setpgid", "", "EINVAL|ESRCH", "EPERM", "there is one process, a session's leader, and that is looked at first", ""},

	// Linux looks at something else first, or takes a part where hvgo takes nothing.
	{"pread64|pwrite64|getrandom", "into a hole", "=15", "EFAULT", "memory is looked at before bytes are moved: all of it must be there", ""},
	{"pread64", "1<<31|1<<32|0x100000010", "=16", "EFAULT", "likewise, also of what a short file leaves as it is", ""},
	{"recvfrom", "-1|1<<31|1<<47|1<<63", "=16", "EFAULT", "likewise", ""},
	{"getrandom", "1<<47|1<<63", "=*", "EFAULT", "likewise", ""},
	{"getdents64", "into a hole", "=48", "EFAULT", "likewise", ""},
	{"preadv|pwritev|preadv2|pwritev2", "second base null|second in a hole", "=8", "EFAULT", "likewise, of all elements", ""},
	{"preadv|pwritev|preadv2|pwritev2", "upper half and empty", "EFAULT", "=0", "where no byte is moved no address is looked at", ""},
	{"sendto", "-1|1<<31|1<<47|1<<63", "EMSGSIZE", "EFAULT", "memory is looked at before the datagram's size", ""},
	{"connect", "listener", "EISCONN", "EINVAL", "a listener is not connected", ""},
	{"mremap", "-4096|1<<63|0x7fffffffffffffff|0x8000000000001000", "EINVAL", "ENOMEM", "sizes beyond user space: both are refused", "6.17"},
	{"mmap fixed", "-8|-1|0x40032", "ENOEXEC|EPERM|EINVAL", "ENOMEM", "addresses beyond user space, and huge pages there are none of: both are refused", ""},
	{"mremap fixed", "null", "ok|EFAULT|EINVAL", "EPERM", "the lowest 64 KiB are never mapped, for root neither", ""},
	{"open that creates", "root", "EEXIST", "EISDIR", "both are true of /", ""},
	{"fallocate", "", "ENODEV", "ESPIPE|ENOTSUP", "kinds of files that have no space to be given", ""},
	{"copy_file_range", "", "EINVAL|EISDIR", "EBADF", "the descriptors' modes are looked at before their kinds", ""},
	{"getdents64", "file to write|pipe to write", "ENOTDIR", "EBADF", "likewise", ""},
	{"ftruncate|truncate", "0x7fffffffffffffff", "=0", "EFBIG", "files end earlier than on Linux's file system in memory", ""},
	{"fallocate", "0x7fffffffffffffff", "ENOSPC", "EFBIG", "likewise", ""},
	{"mmap of a file", "1<<62", "ok", "EOVERFLOW", "likewise", ""},

	// Newer Linux.
	{"fchmod|fchown", "eventfd|empty eventfd|epoll", "ENOTSUP", "=0", "all eventfds and epolls have the same file, whose mode and owner nobody asks for", "6.15"},
	{"mremap fixed", "ground's last page|read-only|no access|0x14000", "ok", "EFAULT", "it moves several mappings at once: Go does without", "6.17"},
}

// nowhereAtAll are addresses at which no program has memory.
const nowhereAtAll = "not canonical|bits on top|hvgo's direct map|hvgo's trap stacks|Linux's direct map|last page|-8|-1"

// together are differences where two arguments are wrong. Which of those choices are
// made depends on PerPair, so that nobody notices when one is gone.
var together = []difference{
	{"read|write|pread64", "1<<31|1<<32|0x100000008|0x100000010", "=*", "EFAULT", "memory is looked at before bytes are moved: all of it must be there", ""},
	{"read|write|pread64|pwrite64|readv|writev|preadv|pwritev|preadv2|pwritev2", "null device|zero device", "=*", "EFAULT", "likewise, also for devices that do not touch it", ""},
	{"pread64", "up to a hole", "=16", "EFAULT", "likewise, also of what a short file leaves as it is", ""},
	{"preadv|preadv2", "0x10|0x11|1<<31", "=0", "EFAULT", "likewise, also at a file's end", ""},
	{"readv|writev|pread64|pwrite64|getrandom|sendto|recvfrom", nowhereAtAll + "|upper half and empty", "EFAULT", "=0", "where no byte is moved no address is looked at", ""},
	{"rt_sigpending", nowhereAtAll, "=0", "EFAULT", "the address is looked at although no byte of the set is asked for", ""},
	{"readv|preadv|preadv2|sendfile", "folder|eventfd|empty eventfd|epoll", "=0", "EISDIR|EINVAL", "the kind of file is looked at before the size, which is 0", ""},
	{"fcntl", "eventfd|empty eventfd|epoll", "=0", "EINVAL", "eventfds and epolls cannot be locked", ""},
	{"fcntl F_SETFL", "pipe to read|empty pipe|pipe to write", "=0", "EINVAL", "pipes keep no packets (O_DIRECT)", ""},
	{"mmap of a file", "zero device", "ok", "EINVAL", "MAP_SHARED_VALIDATE is not served for devices", ""},
	{"mremap", "-4096|1<<63|0x7fffffffffffffff|0x8000000000001000", "ok", "EINVAL", "sizes beyond user space are refused also where nothing is to be done", ""},
	{"preadv2|pwritev2", "", "=*", "ENOTSUP", "flags other than RWF_NOWAIT are not served", ""},
	{"pwritev2", "-1", "=16", "EINVAL", "offset -1 is the file's own, and eventfds have none", ""},
	{"sendfile", "empty eventfd", "=0", "EINVAL", "files are not sent to eventfds", ""},
	{"utimensat", "omitted", "=0", "EFAULT|ENOTDIR", "the path is looked at also when no time is to be set", ""},
	{"utimensat", "null", "=0", "EINVAL", "pipes and sockets have no times that anybody could ask for", ""},
	{"socket", "0xa", "ok", "EINVAL", "Linux takes SOCK_PACKET", ""},
}
