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
	{"fchmod|fchown", "udp|tcp|listener|unix stream|unix datagrams|netlink|pipe to read|empty pipe|pipe to write", "=0", "EINVAL", "pipes and sockets have neither mode nor owner that anybody could ask for"},
	{"link|linkat", "root", "EXDEV", "EPERM", "the folder is on a file system of its own there, and on the root's here"},
	{"rename|renameat|renameat2", "root", "EXDEV", "EBUSY", "likewise"},
	{"futex wake", "end of user space", "=0", "EFAULT", "Linux lets a word begin where the program's addresses end"},

	// Not served, or less of it.
	{"vmsplice|tee", "", "*", "EINVAL", "not served: Go does without, since EINVAL tells it to"},
	{"splice", "", "EFAULT|EINVAL", "ESPIPE", "pipes and sockets have no offsets: that is told before the offset is read"},
	{"preadv2|pwritev2", "0x1|0x2|0x4|0x10|0x20|0x100", "=16", "ENOTSUP", "flags other than RWF_NOWAIT are not served"},
	{"recvmmsg", "", "=1|EINVAL|EFAULT", "ENOTSUP", "a time limit is not served"},
	{"renameat2", "0x2", "ENOENT", "EINVAL", "files are not exchanged"},
	{"renameat2", "0x4", "=0", "EINVAL", "there are no whiteouts"},
	{"clone", "", "EINVAL", "ENOSYS", "threads are made as Go makes them"},
	{"mmap of a file", "tcp|listener", "ok", "ENODEV", "receiving by mapping is not served"},
	{"socket", "0xa", "ok", "ESOCKTNOSUPPORT", "Linux takes SOCK_PACKET"},
	{"sigaltstack", "auto-disarm", "=0", "EINVAL", "SS_AUTODISARM is not served"},
	{"ioctl", "netlink", "ENOTTY", "=0", "FIONREAD is answered for all sockets"},
	{"setpgid", "", "EINVAL|ESRCH", "EPERM", "there is one process, a session's leader, and that is looked at first"},

	// Linux looks at something else first, or takes a part where hvgo takes nothing.
	{"pread64|pwrite64|getrandom", "into a hole", "=15", "EFAULT", "memory is looked at before bytes are moved: all of it must be there"},
	{"pread64", "1<<31|1<<32|0x100000010", "=16", "EFAULT", "likewise, also of what a short file leaves as it is"},
	{"recvfrom", "-1|1<<31|1<<47|1<<63", "=16", "EFAULT", "likewise"},
	{"getrandom", "1<<47|1<<63", "=*", "EFAULT", "likewise"},
	{"getdents64", "into a hole", "=48", "EFAULT", "likewise"},
	{"preadv|pwritev|preadv2|pwritev2", "second base null|second in a hole", "=8", "EFAULT", "likewise, of all elements"},
	{"preadv|pwritev|preadv2|pwritev2", "upper half and empty", "EFAULT", "=0", "where no byte is moved no address is looked at"},
	{"sendto", "-1|1<<31|1<<47|1<<63", "EMSGSIZE", "EFAULT", "memory is looked at before the datagram's size"},
	{"connect", "listener", "EISCONN", "EINVAL", "a listener is not connected"},
	{"mremap", "-4096|1<<63|0x7fffffffffffffff|0x8000000000001000", "EINVAL", "ENOMEM", "sizes beyond user space: both are refused"},
	{"mmap fixed", "-8|-1|0x40032", "ENOEXEC|EPERM|EINVAL", "ENOMEM", "addresses beyond user space, and huge pages there are none of: both are refused"},
	{"mremap fixed", "null", "ok", "EPERM", "the lowest 64 KiB are never mapped, for root neither"},
	{"open that creates", "root", "EEXIST", "EISDIR", "both are true of /"},
	{"fallocate", "", "ENODEV", "ESPIPE|ENOTSUP", "kinds of files that have no space to be given"},
	{"copy_file_range", "", "EINVAL|EISDIR", "EBADF", "the descriptors' modes are looked at before their kinds"},
	{"getdents64", "file to write|pipe to write", "ENOTDIR", "EBADF", "likewise"},
	{"ftruncate|truncate", "0x7fffffffffffffff", "=0", "EFBIG", "files end earlier than on Linux's file system in memory"},
	{"fallocate", "0x7fffffffffffffff", "ENOSPC", "EFBIG", "likewise"},
	{"mmap of a file", "1<<62", "ok", "EOVERFLOW", "likewise"},

	// Not yet as on Linux: mistakes that remain.
	{"read|readv", "read-only", "EFAULT", "EAGAIN", "not yet as on Linux"},
	{"readv|writev", "empty|null and empty", "=0", "EINVAL", "not yet as on Linux: an eventfd is asked for no bytes"},
	{"fcntl F_SETFL", "0x4800", "EINVAL", "=0", "not yet as on Linux: O_DIRECT is not refused, but has no effect"},
	{"fcntl F_DUPFD", "0x100000384", "ok", "EINVAL", "not yet as on Linux, which takes 32 bits of the number"},
	{"epoll_ctl|epoll_wait|epoll_pwait", "path only", "EBADF", "EINVAL|EPERM", "not yet as on Linux: O_PATH's descriptors are none for epoll"},
	{"mmap", "0x1|-1|0x7fffffffffffffff", "EINVAL", "ok", "not yet as on Linux: the offset of memory without a file is not looked at"},
	{"mremap fixed", "ground's last page|read-only|no access", "ok", "EFAULT", "not yet as on Linux, which since 6.17 moves several mappings at once"},
	{"timer_create", "into a hole", "EFAULT", "=0", "not yet as on Linux: fewer bytes of the sigevent are read"},
	{"lseek", "eventfd|empty eventfd|epoll", "=0", "ESPIPE", "not yet as on Linux, where such descriptors can be sought to no effect"},
	{"ioctl", "epoll", "EINVAL", "ENOTTY", "not yet as on Linux"},
	{"sync_file_range", "", "EINVAL", "=0", "not yet as on Linux: unknown flags are not refused"},
	{"sync_file_range", "", "ESPIPE", "EINVAL", "not yet as on Linux"},
	{"fchmod|fchown", "eventfd|empty eventfd|epoll", "ENOTSUP", "=0", "not yet as on Linux, where nobody can change these files"},
	{"sendfile", "null device", "EINVAL", "=0", "not yet as on Linux: the null device is a file without bytes"},
	{"sendfile", "read-only", "EFAULT", "=16", "not yet as on Linux: an offset that cannot be written is not told"},
	{"readlink|readlinkat", "empty path", "ENOENT", "EINVAL", "not yet as on Linux"},
	{"sendto", "0x0|1<<32", "EINVAL", "EDESTADDRREQ", "not yet as on Linux: an address without bytes is taken for none"},
	{"sendmmsg", "into a hole", "=2", "=1", "not yet as on Linux"},
}
