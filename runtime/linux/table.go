// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import "golang.org/x/sys/unix"

// The leaf of a system call: where it is served.
const (
	LeafNone   uint8 = iota // not served: ENOSYS, logged once by name
	LeafTrap                // nosplit code on the trap stack, which answers ENOSYS to those it does not know
	LeafDoor                // Door, on the calling goroutine
	LeafByFD                // by the kind of the descriptor in the first argument: KindDoor through Door, others on the trap stack
	LeafByArgs              // mmap without MAP_ANONYMOUS and madvise with MADV_REMOVE through Door, else on the trap stack
)

// MaxCall is one more than the highest number that Leaf and CallName know; a power of two.
const MaxCall = 512

// Leaf is the leaf of each system call by its x86-64 number. It is data the linker lays out: readable in
// trap context and before any init function.
var Leaf = [MaxCall]uint8{
	// Served by the kind of descriptor.
	unix.SYS_READ: LeafByFD, unix.SYS_WRITE: LeafByFD, unix.SYS_READV: LeafByFD, unix.SYS_WRITEV: LeafByFD, unix.SYS_CLOSE: LeafByFD,
	unix.SYS_FCNTL: LeafByFD, unix.SYS_DUP: LeafByFD,

	// Threads, memory, signals, time, readiness.
	unix.SYS_FUTEX: LeafTrap, unix.SYS_CLONE: LeafTrap, unix.SYS_MMAP: LeafByArgs, unix.SYS_MUNMAP: LeafTrap, unix.SYS_MPROTECT: LeafTrap,
	unix.SYS_MADVISE: LeafByArgs, unix.SYS_MSYNC: LeafTrap, unix.SYS_MREMAP: LeafTrap, unix.SYS_BRK: LeafTrap, unix.SYS_MINCORE: LeafTrap, unix.SYS_MLOCK: LeafTrap,
	unix.SYS_MUNLOCK: LeafTrap, unix.SYS_MLOCKALL: LeafTrap, unix.SYS_MUNLOCKALL: LeafTrap, unix.SYS_RT_SIGACTION: LeafTrap,
	unix.SYS_RT_SIGPROCMASK: LeafTrap, unix.SYS_RT_SIGRETURN: LeafTrap, unix.SYS_RT_SIGPENDING: LeafTrap, unix.SYS_RT_SIGSUSPEND: LeafTrap,
	unix.SYS_RT_SIGTIMEDWAIT: LeafTrap, unix.SYS_SIGALTSTACK: LeafTrap, unix.SYS_TGKILL: LeafTrap, unix.SYS_TKILL: LeafTrap, unix.SYS_KILL: LeafTrap,
	unix.SYS_PAUSE: LeafTrap, unix.SYS_GETPID: LeafTrap, unix.SYS_GETTID: LeafTrap, unix.SYS_ARCH_PRCTL: LeafTrap, unix.SYS_SET_TID_ADDRESS: LeafTrap,
	unix.SYS_SET_ROBUST_LIST: LeafTrap, unix.SYS_PRCTL: LeafTrap, unix.SYS_SCHED_YIELD: LeafTrap, unix.SYS_SCHED_GETAFFINITY: LeafTrap,
	unix.SYS_SCHED_SETAFFINITY: LeafTrap, unix.SYS_GETCPU: LeafTrap, unix.SYS_MEMBARRIER: LeafTrap, unix.SYS_NANOSLEEP: LeafTrap,
	unix.SYS_CLOCK_NANOSLEEP: LeafTrap, unix.SYS_CLOCK_GETTIME: LeafTrap, unix.SYS_CLOCK_GETRES: LeafTrap, unix.SYS_GETTIMEOFDAY: LeafTrap,
	unix.SYS_TIME: LeafTrap, unix.SYS_SETITIMER: LeafTrap, unix.SYS_GETITIMER: LeafTrap, unix.SYS_TIMER_CREATE: LeafTrap,
	unix.SYS_TIMER_SETTIME: LeafTrap, unix.SYS_TIMER_GETTIME: LeafTrap, unix.SYS_TIMER_GETOVERRUN: LeafTrap, unix.SYS_TIMER_DELETE: LeafTrap,
	unix.SYS_EPOLL_CREATE: LeafTrap, unix.SYS_EPOLL_CREATE1: LeafTrap, unix.SYS_EPOLL_CTL: LeafTrap, unix.SYS_EPOLL_WAIT: LeafTrap, unix.SYS_EPOLL_PWAIT: LeafTrap,
	unix.SYS_EPOLL_PWAIT2: LeafTrap, unix.SYS_EVENTFD: LeafTrap, unix.SYS_EVENTFD2: LeafTrap, unix.SYS_EXIT: LeafTrap,

	// Users, groups and names of threads.
	unix.SYS_GETUID: LeafTrap, unix.SYS_GETEUID: LeafTrap, unix.SYS_GETGID: LeafTrap, unix.SYS_GETEGID: LeafTrap, unix.SYS_GETRESUID: LeafTrap,
	unix.SYS_GETRESGID: LeafTrap, unix.SYS_GETGROUPS: LeafTrap, unix.SYS_SETUID: LeafTrap, unix.SYS_SETGID: LeafTrap, unix.SYS_SETREUID: LeafTrap,
	unix.SYS_SETREGID: LeafTrap, unix.SYS_SETRESUID: LeafTrap, unix.SYS_SETRESGID: LeafTrap, unix.SYS_SETFSUID: LeafTrap, unix.SYS_SETFSGID: LeafTrap,
	unix.SYS_SETGROUPS: LeafTrap, unix.SYS_CAPGET: LeafTrap, unix.SYS_CAPSET: LeafTrap,

	// The end of the program: through the door, which gives the devices back first, unless it is the Go
	// runtime that ends it.
	unix.SYS_EXIT_GROUP: LeafDoor,

	// Files by descriptor.
	unix.SYS_PREAD64: LeafDoor, unix.SYS_PWRITE64: LeafDoor, unix.SYS_PREADV: LeafDoor, unix.SYS_PWRITEV: LeafDoor, unix.SYS_PREADV2: LeafDoor,
	unix.SYS_PWRITEV2: LeafDoor, unix.SYS_LSEEK: LeafDoor, unix.SYS_FSTAT: LeafDoor, unix.SYS_IOCTL: LeafDoor, unix.SYS_FSYNC: LeafDoor,
	unix.SYS_FDATASYNC: LeafDoor, unix.SYS_FTRUNCATE: LeafDoor, unix.SYS_FALLOCATE: LeafDoor, unix.SYS_FADVISE64: LeafDoor, unix.SYS_FLOCK: LeafDoor,
	unix.SYS_GETDENTS64: LeafDoor, unix.SYS_FCHDIR: LeafDoor, unix.SYS_FCHMOD: LeafDoor, unix.SYS_FCHOWN: LeafDoor, unix.SYS_FSTATFS: LeafDoor,
	unix.SYS_SYNC_FILE_RANGE: LeafDoor, unix.SYS_SENDFILE: LeafDoor, unix.SYS_SPLICE: LeafDoor, unix.SYS_TEE: LeafDoor, unix.SYS_VMSPLICE: LeafDoor,
	unix.SYS_COPY_FILE_RANGE: LeafDoor, unix.SYS_CLOSE_RANGE: LeafDoor, unix.SYS_SYNCFS: LeafDoor, unix.SYS_DUP2: LeafDoor, unix.SYS_DUP3: LeafDoor,

	// Files by path.
	unix.SYS_OPEN: LeafDoor, unix.SYS_CREAT: LeafDoor, unix.SYS_OPENAT: LeafDoor, unix.SYS_STAT: LeafDoor, unix.SYS_LSTAT: LeafDoor,
	unix.SYS_NEWFSTATAT: LeafDoor, unix.SYS_STATX: LeafDoor, unix.SYS_ACCESS: LeafDoor, unix.SYS_FACCESSAT: LeafDoor, unix.SYS_FACCESSAT2: LeafDoor,
	unix.SYS_READLINK: LeafDoor, unix.SYS_READLINKAT: LeafDoor, unix.SYS_GETCWD: LeafDoor, unix.SYS_CHDIR: LeafDoor, unix.SYS_STATFS: LeafDoor,
	unix.SYS_TRUNCATE: LeafDoor, unix.SYS_MKDIR: LeafDoor, unix.SYS_MKDIRAT: LeafDoor, unix.SYS_RMDIR: LeafDoor, unix.SYS_UNLINK: LeafDoor,
	unix.SYS_UNLINKAT: LeafDoor, unix.SYS_RENAME: LeafDoor, unix.SYS_RENAMEAT: LeafDoor, unix.SYS_RENAMEAT2: LeafDoor, unix.SYS_LINK: LeafDoor,
	unix.SYS_LINKAT: LeafDoor, unix.SYS_SYMLINK: LeafDoor, unix.SYS_SYMLINKAT: LeafDoor, unix.SYS_MKNOD: LeafDoor, unix.SYS_MKNODAT: LeafDoor,
	unix.SYS_CHMOD: LeafDoor, unix.SYS_FCHMODAT: LeafDoor, unix.SYS_CHOWN: LeafDoor, unix.SYS_LCHOWN: LeafDoor, unix.SYS_FCHOWNAT: LeafDoor,
	unix.SYS_MEMFD_CREATE: LeafDoor, unix.SYS_FCHMODAT2: LeafDoor, unix.SYS_UTIMENSAT: LeafDoor, unix.SYS_UMASK: LeafDoor, unix.SYS_SYNC: LeafDoor,

	// Pipes and sockets.
	unix.SYS_PIPE: LeafDoor, unix.SYS_PIPE2: LeafDoor, unix.SYS_SOCKET: LeafDoor, unix.SYS_SOCKETPAIR: LeafDoor, unix.SYS_BIND: LeafDoor,
	unix.SYS_LISTEN: LeafDoor, unix.SYS_ACCEPT: LeafDoor, unix.SYS_ACCEPT4: LeafDoor, unix.SYS_CONNECT: LeafDoor, unix.SYS_GETSOCKNAME: LeafDoor,
	unix.SYS_GETPEERNAME: LeafDoor, unix.SYS_SETSOCKOPT: LeafDoor, unix.SYS_GETSOCKOPT: LeafDoor, unix.SYS_SHUTDOWN: LeafDoor, unix.SYS_SENDTO: LeafDoor,
	unix.SYS_RECVFROM: LeafDoor, unix.SYS_SENDMSG: LeafDoor, unix.SYS_RECVMSG: LeafDoor, unix.SYS_SENDMMSG: LeafDoor, unix.SYS_RECVMMSG: LeafDoor,

	// The machine and the process.
	unix.SYS_GETRANDOM: LeafDoor, unix.SYS_UNAME: LeafDoor, unix.SYS_SYSINFO: LeafDoor, unix.SYS_TIMES: LeafDoor, unix.SYS_GETRUSAGE: LeafDoor,
	unix.SYS_GETRLIMIT: LeafDoor, unix.SYS_SETRLIMIT: LeafDoor, unix.SYS_PRLIMIT64: LeafDoor, unix.SYS_GETPPID: LeafDoor, unix.SYS_GETPGID: LeafDoor,
	unix.SYS_GETPGRP: LeafDoor, unix.SYS_SETPGID: LeafDoor, unix.SYS_GETSID: LeafDoor, unix.SYS_SETSID: LeafDoor,
	unix.SYS_WAIT4: LeafDoor, unix.SYS_WAITID: LeafDoor, unix.SYS_GETPRIORITY: LeafDoor, unix.SYS_SETPRIORITY: LeafDoor, unix.SYS_ALARM: LeafDoor,
}

// Absent are calls that are not here on purpose, and that programs try and do without: ENOSYS is not logged.
var Absent = [MaxCall]bool{
	// Other processes, name spaces, and what a machine's administrator does.
	unix.SYS_FORK: true, unix.SYS_VFORK: true, unix.SYS_CLONE3: true, unix.SYS_EXECVE: true, unix.SYS_EXECVEAT: true, unix.SYS_PTRACE: true,
	unix.SYS_PIDFD_OPEN: true, unix.SYS_PIDFD_GETFD: true, unix.SYS_PIDFD_SEND_SIGNAL: true, unix.SYS_UNSHARE: true, unix.SYS_SETNS: true,
	unix.SYS_CHROOT: true, unix.SYS_PIVOT_ROOT: true, unix.SYS_MOUNT: true, unix.SYS_UMOUNT2: true, unix.SYS_BPF: true,
	unix.SYS_PERF_EVENT_OPEN: true, unix.SYS_SECCOMP: true, unix.SYS_LANDLOCK_CREATE_RULESET: true,

	// Other ways to do what can be done otherwise.
	unix.SYS_OPENAT2: true, unix.SYS_RSEQ: true, unix.SYS_IO_SETUP: true, unix.SYS_IO_URING_SETUP: true, unix.SYS_INOTIFY_INIT1: true,
	unix.SYS_FANOTIFY_INIT: true, unix.SYS_NAME_TO_HANDLE_AT: true, unix.SYS_KEYCTL: true, unix.SYS_ADD_KEY: true, unix.SYS_CACHESTAT: true,
	unix.SYS_FUTEX_WAITV: true, unix.SYS_PROCESS_VM_READV: true, unix.SYS_KCMP: true, unix.SYS_USERFAULTFD: true,
}

// CallName is the name of each system call by its x86-64 number (asm/unistd_64.h); "" where there is none.
var CallName = [MaxCall]string{
	0: "read", "write", "open", "close", "stat", "fstat", "lstat", "poll",
	8: "lseek", "mmap", "mprotect", "munmap", "brk", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	16: "ioctl", "pread64", "pwrite64", "readv", "writev", "access", "pipe", "select",
	24: "sched_yield", "mremap", "msync", "mincore", "madvise", "shmget", "shmat", "shmctl",
	32: "dup", "dup2", "pause", "nanosleep", "getitimer", "alarm", "setitimer", "getpid",
	40: "sendfile", "socket", "connect", "accept", "sendto", "recvfrom", "sendmsg", "recvmsg",
	48: "shutdown", "bind", "listen", "getsockname", "getpeername", "socketpair", "setsockopt", "getsockopt",
	56: "clone", "fork", "vfork", "execve", "exit", "wait4", "kill", "uname",
	64: "semget", "semop", "semctl", "shmdt", "msgget", "msgsnd", "msgrcv", "msgctl",
	72: "fcntl", "flock", "fsync", "fdatasync", "truncate", "ftruncate", "getdents", "getcwd",
	80: "chdir", "fchdir", "rename", "mkdir", "rmdir", "creat", "link", "unlink",
	88: "symlink", "readlink", "chmod", "fchmod", "chown", "fchown", "lchown", "umask",
	96: "gettimeofday", "getrlimit", "getrusage", "sysinfo", "times", "ptrace", "getuid", "syslog",
	104: "getgid", "setuid", "setgid", "geteuid", "getegid", "setpgid", "getppid", "getpgrp",
	112: "setsid", "setreuid", "setregid", "getgroups", "setgroups", "setresuid", "getresuid", "setresgid",
	120: "getresgid", "getpgid", "setfsuid", "setfsgid", "getsid", "capget", "capset", "rt_sigpending",
	128: "rt_sigtimedwait", "rt_sigqueueinfo", "rt_sigsuspend", "sigaltstack", "utime", "mknod", "uselib", "personality",
	136: "ustat", "statfs", "fstatfs", "sysfs", "getpriority", "setpriority", "sched_setparam", "sched_getparam",
	144: "sched_setscheduler", "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min", "sched_rr_get_interval", "mlock", "munlock", "mlockall",
	152: "munlockall", "vhangup", "modify_ldt", "pivot_root", "_sysctl", "prctl", "arch_prctl", "adjtimex",
	160: "setrlimit", "chroot", "sync", "acct", "settimeofday", "mount", "umount2", "swapon",
	168: "swapoff", "reboot", "sethostname", "setdomainname", "iopl", "ioperm", "create_module", "init_module",
	176: "delete_module", "get_kernel_syms", "query_module", "quotactl", "nfsservctl", "getpmsg", "putpmsg", "afs_syscall",
	184: "tuxcall", "security", "gettid", "readahead", "setxattr", "lsetxattr", "fsetxattr", "getxattr",
	192: "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr", "removexattr", "lremovexattr", "fremovexattr",
	200: "tkill", "time", "futex", "sched_setaffinity", "sched_getaffinity", "set_thread_area", "io_setup", "io_destroy",
	208: "io_getevents", "io_submit", "io_cancel", "get_thread_area", "lookup_dcookie", "epoll_create", "epoll_ctl_old", "epoll_wait_old",
	216: "remap_file_pages", "getdents64", "set_tid_address", "restart_syscall", "semtimedop", "fadvise64", "timer_create", "timer_settime",
	224: "timer_gettime", "timer_getoverrun", "timer_delete", "clock_settime", "clock_gettime", "clock_getres", "clock_nanosleep", "exit_group",
	232: "epoll_wait", "epoll_ctl", "tgkill", "utimes", "vserver", "mbind", "set_mempolicy", "get_mempolicy",
	240: "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr", "kexec_load", "waitid",
	248: "add_key", "request_key", "keyctl", "ioprio_set", "ioprio_get", "inotify_init", "inotify_add_watch", "inotify_rm_watch",
	256: "migrate_pages", "openat", "mkdirat", "mknodat", "fchownat", "futimesat", "newfstatat", "unlinkat",
	264: "renameat", "linkat", "symlinkat", "readlinkat", "fchmodat", "faccessat", "pselect6", "ppoll",
	272: "unshare", "set_robust_list", "get_robust_list", "splice", "tee", "sync_file_range", "vmsplice", "move_pages",
	280: "utimensat", "epoll_pwait", "signalfd", "timerfd_create", "eventfd", "fallocate", "timerfd_settime", "timerfd_gettime",
	288: "accept4", "signalfd4", "eventfd2", "epoll_create1", "dup3", "pipe2", "inotify_init1", "preadv",
	296: "pwritev", "rt_tgsigqueueinfo", "perf_event_open", "recvmmsg", "fanotify_init", "fanotify_mark", "prlimit64", "name_to_handle_at",
	304: "open_by_handle_at", "clock_adjtime", "syncfs", "sendmmsg", "setns", "getcpu", "process_vm_readv", "process_vm_writev",
	312: "kcmp", "finit_module", "sched_setattr", "sched_getattr", "renameat2", "seccomp", "getrandom", "memfd_create",
	320: "kexec_file_load", "bpf", "execveat", "userfaultfd", "membarrier", "mlock2", "copy_file_range", "preadv2",
	328: "pwritev2", "pkey_mprotect", "pkey_alloc", "pkey_free", "statx", "io_pgetevents", "rseq", "uretprobe",
	336: "uprobe",
	424: "pidfd_send_signal", "io_uring_setup", "io_uring_enter", "io_uring_register", "open_tree", "move_mount", "fsopen", "fsconfig",
	432: "fsmount", "fspick", "pidfd_open", "clone3", "close_range", "openat2", "pidfd_getfd", "faccessat2",
	440: "process_madvise", "epoll_pwait2", "mount_setattr", "quotactl_fd", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "memfd_secret",
	448: "process_mrelease", "futex_waitv", "set_mempolicy_home_node", "cachestat", "fchmodat2", "map_shadow_stack", "futex_wake", "futex_wait",
	456: "futex_requeue", "statmount", "listmount", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal", "setxattrat",
	464: "getxattrat", "listxattrat", "removexattrat", "open_tree_attr", "file_getattr", "file_setattr", "listns", "rseq_slice_yield",
}
