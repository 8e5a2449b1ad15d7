// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import "golang.org/x/sys/unix"

// offset is an offset in a file.
func offset() arg { return num(0, 1, 16, 17, 1<<31, -1, -4096, -1<<63) }

var fileCalls = []call{
	{nr: unix.SYS_PREAD64, args: []arg{fd("file"), ptr(sixteenBytes), length(16), offset()}, pairs: [][2]int{{0, 1}, {0, 2}, {0, 3}, {1, 2}, {2, 3}}},
	{nr: unix.SYS_PWRITE64, args: []arg{fd("file"), ptr(sixteenBytes), num(16, 0, 1, 15, -1, -4096, 1<<31, 1<<32, 1<<47, -1<<63).except("1<<31", "1<<32"), num(0, 1, 16, 17, -1, -4096, -1<<63)}, pairs: [][2]int{{0, 1}, {0, 3}, {1, 2}, {2, 3}}, files: true},
	{nr: unix.SYS_PREADV, args: []arg{fd("file"), vectors(), elements(), offset(), num(0)}, pairs: [][2]int{{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}}},
	{nr: unix.SYS_PWRITEV, args: []arg{fd("file"), vectors(), elements(), num(0, 1, 17, -1, -1<<63), num(0)}, pairs: [][2]int{{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}}, files: true},
	{nr: unix.SYS_PREADV2, args: []arg{fd("file"), vectors(), elements(), offset(), num(0), flags(0)}, pairs: [][2]int{{0, 1}, {0, 3}, {0, 5}, {1, 5}}},
	{nr: unix.SYS_PWRITEV2, args: []arg{fd("file"), vectors(), elements(), num(0, 1, 17, -1, -1<<63), num(0), flags(0)}, pairs: [][2]int{{0, 1}, {0, 3}, {0, 5}, {1, 5}}, files: true},
	{nr: unix.SYS_LSEEK, args: []arg{fd("file"), num(0, 1, 16, 17, -1, 1<<31, -1<<63, 1<<63-1), num(0, 1, 2, 3, 4, 5, -1, 1<<31, 1<<32)}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_FSTAT, args: []arg{fd("file"), ptr(make([]byte, 144))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_IOCTL, args: []arg{fd("file"), num(unix.TIOCINQ, 0x5421, unix.TCGETS, unix.TIOCGWINSZ, unix.TIOCOUTQ, 0x5450, 0x5451, unix.BLKGETSIZE64, unix.BLKSSZGET, 0, -1, 1<<32|unix.TIOCINQ), ptr(words(1))}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_FSYNC, args: []arg{fd("file")}},
	{nr: unix.SYS_FDATASYNC, args: []arg{fd("file")}},
	{nr: unix.SYS_SYNCFS, args: []arg{fd("file")}},
	{nr: unix.SYS_SYNC_FILE_RANGE, args: []arg{fd("file"), num(0, -1, 1<<63-1), num(16, 0, -1, 1<<63-1), flags(0)}, pairs: [][2]int{{0, 3}, {1, 2}}},
	{nr: unix.SYS_FTRUNCATE, args: []arg{fd("file"), num(16, 0, 17, -1, -1<<63, 1<<63-1)}, pairs: [][2]int{{0, 1}}, files: true},
	{nr: unix.SYS_FALLOCATE, args: []arg{fd("file"), flags(0), num(0, -1, 16, 1<<63-1), num(16, 0, -1, 1<<63-1)}, pairs: [][2]int{{0, 1}, {0, 3}, {1, 3}, {2, 3}}, files: true},
	{nr: unix.SYS_FADVISE64, args: []arg{fd("file"), num(0, -1, 1<<63-1), num(16, 0, -1), num(0, 1, 2, 3, 4, 5, 6, -1, 1<<31, 1<<32)}, pairs: [][2]int{{0, 3}, {1, 2}, {2, 3}}},
	{nr: unix.SYS_FLOCK, args: []arg{fd("file"), num(unix.LOCK_SH|unix.LOCK_NB, unix.LOCK_EX|unix.LOCK_NB, unix.LOCK_UN, unix.LOCK_UN|unix.LOCK_NB, 0, 3, 4, 7, 32, 64, -1, 1<<31, 1<<32|5)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_GETDENTS64, args: []arg{fd("folder"), ptr(make([]byte, 512)), num(512, 0, 1, 23, 24, -1, 1<<31, 1<<32, 1<<32+512)}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_FCHDIR, args: []arg{fd("folder")}, files: true},
	{nr: unix.SYS_FCHMOD, args: []arg{fd("file").except(others...), flags(0o644)}, pairs: [][2]int{{0, 1}}, files: true},
	{nr: unix.SYS_FCHOWN, args: []arg{fd("file").except(others...), num(0, -1, 1<<32), num(0, -1, 1<<32)}, pairs: [][2]int{{0, 1}}, files: true},
	{nr: unix.SYS_FSTATFS, args: []arg{fd("file"), ptr(make([]byte, 120))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_SENDFILE, args: []arg{fd("unix stream"), fd("file"), null(words(0), content{"offset -1", words(1<<64 - 1)}, content{"offset 1<<63", words(1 << 63)}, content{"offset behind", words(17)}), num(16, 0, 1, 17, -1, -4096, -1<<63)},
		pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}, {1, 3}, {2, 3}}, files: true},
	{nr: unix.SYS_SPLICE, args: []arg{fd("pipe to read"), null(words(0)), fd("unix stream"), null(words(0)), num(16, 0, -1), flags(unix.SPLICE_F_NONBLOCK, unix.SPLICE_F_NONBLOCK)}, pairs: [][2]int{{0, 2}, {0, 1}}},
	{nr: unix.SYS_TEE, args: []arg{fd("pipe to read"), fd("pipe to write"), num(16, 0, -1), flags(unix.SPLICE_F_NONBLOCK, unix.SPLICE_F_NONBLOCK)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_VMSPLICE, args: []arg{fd("pipe to write"), vectors(), elements(), flags(unix.SPLICE_F_NONBLOCK, unix.SPLICE_F_NONBLOCK)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_COPY_FILE_RANGE, args: []arg{fd("file to read"), null(words(0)), fd("file to write"), null(words(0)), num(16, 0, -1), flags(0)}, pairs: [][2]int{{0, 2}, {0, 1}}, files: true},
	// From 900 on there are no descriptors.
	{nr: unix.SYS_CLOSE_RANGE, args: []arg{num(900, 1023, 1024, -1, 1<<31, 1<<32+900), num(910, 0, 899, 1023, 1024, -1, 1<<32+910), flags(0)}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_SYNC},
	{nr: unix.SYS_MEMFD_CREATE, args: []arg{path("name"), flags(unix.MFD_CLOEXEC, 0x3f<<26, unix.MFD_HUGETLB)}, pairs: [][2]int{{0, 1}}, result: descr},
}

// others are files of the machine on which the test runs, of which nobody may change
// mode, owner and times.
var others = []string{"root", "null device", "zero device"}

// at is a folder's descriptor for a relative path: the working directory's, or any.
func at() arg {
	a := fd("folder")
	a.wrong = append(a.wrong, a.right)
	a.right = plain("AT_FDCWD", uintptr(1<<64-100))
	a.wrong = append(a.wrong, plain("AT_FDCWD in 32 bits", 1<<32-100))
	return a
}

// Modes and flags; of those, O_DIRECT (0x4000), O_TMPFILE's and O_NOATIME's bits depend on file system and user.
const unsureOpen = 0x4000 | 0x400000 | 0x40000

var pathCalls = []call{
	{nr: unix.SYS_OPEN, args: []arg{path("f"), flags(unix.O_RDWR|unix.O_NONBLOCK, unix.O_NONBLOCK, unsureOpen), flags(0)}, pairs: [][2]int{{0, 1}}, result: descr, files: true},
	{name: "open that creates", nr: unix.SYS_OPEN, args: []arg{path("new"), flags(unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, unsureOpen), flags(0o644)}, pairs: [][2]int{{0, 1}}, result: descr, files: true},
	{nr: unix.SYS_CREAT, args: []arg{path("new"), flags(0o644)}, result: descr, files: true},
	{nr: unix.SYS_OPENAT, args: []arg{at(), path("f"), flags(unix.O_RDONLY|unix.O_NONBLOCK, unix.O_NONBLOCK, unsureOpen), flags(0)}, pairs: [][2]int{{0, 1}, {1, 2}}, result: descr, files: true},
	{nr: unix.SYS_STAT, args: []arg{path("f"), ptr(make([]byte, 144))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_LSTAT, args: []arg{path("f"), ptr(make([]byte, 144))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_NEWFSTATAT, args: []arg{at(), path("f"), ptr(make([]byte, 144)), flags(0)}, pairs: [][2]int{{0, 1}, {0, 3}, {1, 2}, {1, 3}}},
	{nr: unix.SYS_STATX, args: []arg{at(), path("f"), flags(0), flags(0x7ff), ptr(make([]byte, 256))}, pairs: [][2]int{{0, 1}, {1, 2}, {1, 4}, {3, 4}}},
	{nr: unix.SYS_ACCESS, args: []arg{path("f"), flags(0)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_FACCESSAT, args: []arg{at(), path("f"), flags(0)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_FACCESSAT2, args: []arg{at(), path("f"), flags(0), flags(0)}, pairs: [][2]int{{0, 1}, {1, 3}}},
	{nr: unix.SYS_READLINK, args: []arg{path("l"), ptr(make([]byte, 16)), num(16, 0, 1, -1, 1<<31, 1<<32, 1<<32+16)}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_READLINKAT, args: []arg{at(), path("l"), ptr(make([]byte, 16)), num(16, 0, 1, -1, 1<<31, 1<<32, 1<<32+16)}, pairs: [][2]int{{0, 1}, {1, 3}}},
	{nr: unix.SYS_GETCWD, args: []arg{ptr(make([]byte, 256)), num(256, 0, 1, 2, -1, -4096, 1<<47)}, pairs: [][2]int{{0, 1}}, result: some},
	{nr: unix.SYS_CHDIR, args: []arg{path("d")}, files: true},
	{nr: unix.SYS_STATFS, args: []arg{path("f"), ptr(make([]byte, 120))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_TRUNCATE, args: []arg{path("f"), num(16, 0, 17, -1, -1<<63, 1<<63-1)}, pairs: [][2]int{{0, 1}}, files: true},
	{nr: unix.SYS_MKDIR, args: []arg{path("new"), flags(0o755)}, files: true},
	{nr: unix.SYS_MKDIRAT, args: []arg{at(), path("new"), flags(0o755)}, pairs: [][2]int{{0, 1}}, files: true},
	{nr: unix.SYS_RMDIR, args: []arg{path("d")}, files: true},
	{nr: unix.SYS_UNLINK, args: []arg{path("f")}, files: true},
	{nr: unix.SYS_UNLINKAT, args: []arg{at(), path("f"), flags(0)}, pairs: [][2]int{{0, 1}, {1, 2}}, files: true},
	{nr: unix.SYS_RENAME, args: []arg{path("f"), path("new")}, pairs: [][2]int{{0, 1}}, files: true},
	{nr: unix.SYS_RENAMEAT, args: []arg{at(), path("f"), at(), path("new")}, pairs: [][2]int{{0, 1}, {2, 3}}, files: true},
	{nr: unix.SYS_RENAMEAT2, args: []arg{at(), path("f"), at(), path("new"), flags(0)}, pairs: [][2]int{{1, 4}, {3, 4}}, files: true},
	{nr: unix.SYS_LINK, args: []arg{path("f"), path("new")}, pairs: [][2]int{{0, 1}}, files: true},
	{nr: unix.SYS_LINKAT, args: []arg{at(), path("f"), at(), path("new"), flags(0)}, pairs: [][2]int{{0, 1}, {2, 3}, {1, 4}}, files: true},
	{nr: unix.SYS_SYMLINK, args: []arg{path("f"), path("new")}, pairs: [][2]int{{0, 1}}, files: true},
	{nr: unix.SYS_SYMLINKAT, args: []arg{path("f"), at(), path("new")}, pairs: [][2]int{{0, 2}, {1, 2}}, files: true},
	{nr: unix.SYS_MKNOD, args: []arg{path("new"), num(unix.S_IFREG|0o644, 0, unix.S_IFDIR, unix.S_IFLNK, 0xf000, -1, 1<<31), num(0)}, pairs: [][2]int{{0, 1}}, files: true},
	{nr: unix.SYS_MKNODAT, args: []arg{at(), path("new"), num(unix.S_IFREG|0o644, 0, unix.S_IFDIR, unix.S_IFLNK, 0xf000, -1, 1<<31), num(0)}, pairs: [][2]int{{0, 1}}, files: true},
	{nr: unix.SYS_CHMOD, args: []arg{path("f").except(others...), flags(0o644)}, files: true},
	{nr: unix.SYS_FCHMODAT, args: []arg{at().except(others...), path("f").except(others...), flags(0o644)}, pairs: [][2]int{{0, 1}}, files: true},
	{nr: unix.SYS_FCHMODAT2, args: []arg{at().except(others...), path("f").except(others...), flags(0o644), flags(0)}, pairs: [][2]int{{0, 1}, {1, 3}}, files: true},
	{nr: unix.SYS_CHOWN, args: []arg{path("f").except(others...), num(0, -1, 1<<32), num(0, -1, 1<<32)}, files: true},
	{nr: unix.SYS_LCHOWN, args: []arg{path("l").except(others...), num(0, -1, 1<<32), num(0, -1, 1<<32)}, files: true},
	{nr: unix.SYS_FCHOWNAT, args: []arg{at().except(others...), path("f").except(others...), num(0, -1), num(0, -1), flags(0)}, pairs: [][2]int{{0, 1}, {0, 4}, {1, 4}}, files: true},
	{nr: unix.SYS_UTIMENSAT, args: []arg{at().except(others...), path("f").except(others...), ptr(words(1, 0, 1, 0), content{"1 s too many ns", words(1, 1e9, 1, 0)}, content{"-1 ns", words(1, 0, 1, 1<<64-1)}, content{"now", words(0, 1<<30-1, 0, 1<<30-1)},
		content{"omitted", words(0, 1<<30-2, 0, 1<<30-2)}, content{"-1 s", words(1<<64-1, 0, 1<<64-1, 0)}), flags(0)}, pairs: [][2]int{{0, 1}, {0, 3}, {1, 2}, {1, 3}}, files: true},
	{nr: unix.SYS_UMASK, args: []arg{num(0o022, 0, -1, 1<<31, 0o777)}, undo: func(*state) { unix.Umask(0o022) }},
}
