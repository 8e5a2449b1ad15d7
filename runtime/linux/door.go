// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// serve is the ordinary part of Door: result or negative errno.
func (c *call) serve() (r uintptr) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			r = faulted(v)
		}
	}()
	n, e := c.dispatch()
	if e != 0 {
		return -uintptr(e)
	}
	return uintptr(n)
}

// dispatch finds the function of each system call: those of LeafDoor and LeafByFD in table.go.
func (c *call) dispatch() (int, syscall.Errno) {
	switch c.nr {
	case unix.SYS_READ:
		return sysRead(c)
	case unix.SYS_WRITE:
		return sysWrite(c)
	case unix.SYS_READV:
		return sysReadv(c, fileOffset)
	case unix.SYS_WRITEV:
		return sysWritev(c, fileOffset)
	case unix.SYS_PREAD64:
		return sysPread(c)
	case unix.SYS_PWRITE64:
		return sysPwrite(c)
	case unix.SYS_PREADV:
		return sysReadv(c, givenOffset)
	case unix.SYS_PWRITEV:
		return sysWritev(c, givenOffset)
	case unix.SYS_PREADV2:
		return sysReadv(c, givenOffsetFlags)
	case unix.SYS_PWRITEV2:
		return sysWritev(c, givenOffsetFlags)
	case unix.SYS_CLOSE:
		return sysClose(c)
	case unix.SYS_CLOSE_RANGE:
		return sysCloseRange(c)
	case unix.SYS_DUP:
		return sysDup(c)
	case unix.SYS_DUP2:
		return sysDup2(c)
	case unix.SYS_DUP3:
		return sysDup3(c)
	case unix.SYS_FCNTL:
		return sysFcntl(c)
	case unix.SYS_LSEEK:
		return sysLseek(c)
	case unix.SYS_IOCTL:
		return sysIoctl(c)
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNCFS:
		return sysFsync(c)
	case unix.SYS_SYNC_FILE_RANGE:
		return sysSyncFileRange(c)
	case unix.SYS_SYNC:
		return sysSync()
	case unix.SYS_FTRUNCATE:
		return sysFtruncate(c)
	case unix.SYS_FALLOCATE:
		return sysFallocate(c)
	case unix.SYS_FADVISE64:
		return sysFadvise(c)
	case unix.SYS_FLOCK:
		return sysFlock(c)
	case unix.SYS_SENDFILE:
		return sysSendfile(c)
	case unix.SYS_SPLICE:
		return sysSplice(c)
	case unix.SYS_TEE, unix.SYS_VMSPLICE:
		return 0, syscall.EINVAL
	case unix.SYS_COPY_FILE_RANGE:
		return sysCopyFileRange(c)
	case unix.SYS_MEMFD_CREATE:
		return sysMemfdCreate(c)
	}
	return c.dispatchPath()
}

func (c *call) dispatchPath() (int, syscall.Errno) {
	switch c.nr {
	case unix.SYS_OPENAT:
		return sysOpen(c.int32Arg(0), c.ptr(1), uint32(c.arg[2]), uint32(c.arg[3]))
	case unix.SYS_OPEN:
		return sysOpen(unix.AT_FDCWD, c.ptr(0), uint32(c.arg[1]), uint32(c.arg[2]))
	case unix.SYS_CREAT:
		return sysOpen(unix.AT_FDCWD, c.ptr(0), syscall.O_CREAT|syscall.O_WRONLY|syscall.O_TRUNC, uint32(c.arg[1]))
	case unix.SYS_STAT:
		return sysStat(unix.AT_FDCWD, c.ptr(0), c.ptr(1), 0)
	case unix.SYS_LSTAT:
		return sysStat(unix.AT_FDCWD, c.ptr(0), c.ptr(1), unix.AT_SYMLINK_NOFOLLOW)
	case unix.SYS_NEWFSTATAT:
		return sysStat(c.int32Arg(0), c.ptr(1), c.ptr(2), c.int32Arg(3))
	case unix.SYS_FSTAT:
		return sysFstat(c)
	case unix.SYS_STATX:
		return sysStatx(c)
	case unix.SYS_STATFS, unix.SYS_FSTATFS:
		return sysStatfs(c)
	case unix.SYS_ACCESS:
		return sysAccess(unix.AT_FDCWD, c.ptr(0), c.int32Arg(1), 0)
	case unix.SYS_FACCESSAT:
		return sysAccess(c.int32Arg(0), c.ptr(1), c.int32Arg(2), 0)
	case unix.SYS_FACCESSAT2:
		return sysAccess(c.int32Arg(0), c.ptr(1), c.int32Arg(2), c.int32Arg(3))
	case unix.SYS_READLINK:
		return sysReadlink(unix.AT_FDCWD, c.ptr(0), c.ptr(1), c.int32Arg(2))
	case unix.SYS_READLINKAT:
		return sysReadlink(c.int32Arg(0), c.ptr(1), c.ptr(2), c.int32Arg(3))
	case unix.SYS_GETDENTS64:
		return sysGetdents(c)
	case unix.SYS_GETCWD:
		return sysGetcwd(c)
	case unix.SYS_CHDIR, unix.SYS_FCHDIR:
		return sysChdir(c)
	case unix.SYS_UMASK:
		return int(umask.Swap(uint32(c.arg[0]) & 0o777)), 0
	}
	return c.dispatchChange()
}

func (c *call) dispatchChange() (int, syscall.Errno) {
	const cwd = unix.AT_FDCWD
	switch c.nr {
	case unix.SYS_MKDIR:
		return sysMkdir(cwd, c.ptr(0), uint32(c.arg[1]))
	case unix.SYS_MKDIRAT:
		return sysMkdir(c.int32Arg(0), c.ptr(1), uint32(c.arg[2]))
	case unix.SYS_MKNOD:
		return sysMknod(cwd, c.ptr(0), uint32(c.arg[1]))
	case unix.SYS_MKNODAT:
		return sysMknod(c.int32Arg(0), c.ptr(1), uint32(c.arg[2]))
	case unix.SYS_RMDIR:
		return sysUnlink(cwd, c.ptr(0), unix.AT_REMOVEDIR)
	case unix.SYS_UNLINK:
		return sysUnlink(cwd, c.ptr(0), 0)
	case unix.SYS_UNLINKAT:
		return sysUnlink(c.int32Arg(0), c.ptr(1), c.int32Arg(2))
	case unix.SYS_RENAME:
		return sysRename(cwd, c.ptr(0), cwd, c.ptr(1), 0)
	case unix.SYS_RENAMEAT:
		return sysRename(c.int32Arg(0), c.ptr(1), c.int32Arg(2), c.ptr(3), 0)
	case unix.SYS_RENAMEAT2:
		return sysRename(c.int32Arg(0), c.ptr(1), c.int32Arg(2), c.ptr(3), uint32(c.arg[4]))
	case unix.SYS_LINK:
		return sysLink(cwd, c.ptr(0), cwd, c.ptr(1), 0)
	case unix.SYS_LINKAT:
		return sysLink(c.int32Arg(0), c.ptr(1), c.int32Arg(2), c.ptr(3), c.int32Arg(4))
	case unix.SYS_SYMLINK:
		return sysSymlink(c.ptr(0), cwd, c.ptr(1))
	case unix.SYS_SYMLINKAT:
		return sysSymlink(c.ptr(0), c.int32Arg(1), c.ptr(2))
	case unix.SYS_TRUNCATE:
		return sysTruncate(c)
	case unix.SYS_MMAP:
		return sysMmap(c)
	case unix.SYS_MADVISE:
		return sysMadvise(c)
	case unix.SYS_CHMOD:
		return sysChmod(cwd, c.ptr(0), uint32(c.arg[1]), 0)
	case unix.SYS_FCHMODAT:
		return sysChmod(c.int32Arg(0), c.ptr(1), uint32(c.arg[2]), 0)
	case unix.SYS_FCHMODAT2:
		return sysChmod(c.int32Arg(0), c.ptr(1), uint32(c.arg[2]), c.int32Arg(3))
	case unix.SYS_FCHMOD:
		return sysFchmod(c)
	case unix.SYS_CHOWN:
		return sysChown(cwd, c.ptr(0), c.arg[1], c.arg[2], 0)
	case unix.SYS_LCHOWN:
		return sysChown(cwd, c.ptr(0), c.arg[1], c.arg[2], unix.AT_SYMLINK_NOFOLLOW)
	case unix.SYS_FCHOWNAT:
		return sysChown(c.int32Arg(0), c.ptr(1), c.arg[2], c.arg[3], c.int32Arg(4))
	case unix.SYS_FCHOWN:
		return sysFchown(c)
	case unix.SYS_UTIMENSAT:
		return sysUtimensat(c)
	}
	return c.dispatchSocket()
}

func (c *call) dispatchSocket() (int, syscall.Errno) {
	switch c.nr {
	case unix.SYS_SOCKET:
		return sysSocket(c)
	case unix.SYS_SOCKETPAIR:
		return sysSocketpair(c)
	case unix.SYS_BIND:
		return sysBind(c)
	case unix.SYS_LISTEN:
		return sysListen(c)
	case unix.SYS_ACCEPT:
		return sysAccept(c, 0)
	case unix.SYS_ACCEPT4:
		return sysAccept(c, c.int32Arg(3))
	case unix.SYS_CONNECT:
		return sysConnect(c)
	case unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME:
		return sysSockname(c)
	case unix.SYS_SETSOCKOPT:
		return sysSetsockopt(c)
	case unix.SYS_GETSOCKOPT:
		return sysGetsockopt(c)
	case unix.SYS_SHUTDOWN:
		return sysShutdown(c)
	case unix.SYS_SENDTO:
		return sysSendto(c)
	case unix.SYS_RECVFROM:
		return sysRecvfrom(c)
	case unix.SYS_SENDMSG:
		return sysSendmsg(c)
	case unix.SYS_RECVMSG:
		return sysRecvmsg(c)
	case unix.SYS_SENDMMSG:
		return sysSendmmsg(c)
	case unix.SYS_RECVMMSG:
		return sysRecvmmsg(c)
	case unix.SYS_PIPE:
		return sysPipe(c, 0)
	case unix.SYS_PIPE2:
		return sysPipe(c, uint32(c.arg[1]))
	}
	return c.dispatchProcess()
}

func (c *call) dispatchProcess() (int, syscall.Errno) {
	switch c.nr {
	case unix.SYS_GETRANDOM:
		return sysGetrandom(c)
	case unix.SYS_UNAME:
		return sysUname(c)
	case unix.SYS_SYSINFO:
		return sysSysinfo(c)
	case unix.SYS_TIMES:
		return sysTimes(c)
	case unix.SYS_GETRUSAGE:
		return sysGetrusage(c)
	case unix.SYS_GETRLIMIT, unix.SYS_SETRLIMIT:
		if uint32(c.arg[0]) < rlimits && c.ptr(1).isNil() { // which prlimit takes for "not this"
			return 0, syscall.EFAULT
		}
		if c.nr == unix.SYS_SETRLIMIT {
			return sysPrlimit(c.arg[0], c.ptr(1), ref{})
		}
		return sysPrlimit(c.arg[0], ref{}, c.ptr(1))
	case unix.SYS_PRLIMIT64:
		if pid := c.int32Arg(0); pid != 0 && pid != thePID {
			return 0, syscall.ESRCH
		}
		return sysPrlimit(c.arg[1], c.ptr(2), c.ptr(3))
	case unix.SYS_GETPPID:
		return 0, 0
	case unix.SYS_GETPGRP:
		return thePID, 0
	case unix.SYS_GETPGID, unix.SYS_GETSID:
		return ownID(c)
	case unix.SYS_WAIT4:
		return sysWait4(c)
	case unix.SYS_WAITID:
		return sysWaitid(c)
	case unix.SYS_GETPRIORITY, unix.SYS_SETPRIORITY:
		return sysPriority(c)
	case unix.SYS_ALARM:
		return sysAlarm(c)
	case unix.SYS_SETPGID, unix.SYS_SETSID:
		return 0, syscall.EPERM // process 1 leads its session and its group
	}
	Unserved(c.nr)
	return 0, syscall.ENOSYS
}

// unserved remembers the numbers that were logged.
var unserved [MaxCall]atomic.Bool

// Unserved logs, once for each number, that a system call was answered with ENOSYS. Goroutine context.
func Unserved(nr uintptr) {
	if nr >= MaxCall {
		nr = MaxCall - 1 // all that are out of range count as one
	}
	if !Absent[nr] && !unserved[nr].Swap(true) {
		slog.Warn("linux: system call is not served", "name", CallName[nr], "number", nr)
	}
}

// errnoOf is the errno that stands for an error from below. The end of a file is none.
func errnoOf(err error) syscall.Errno {
	switch e := err.(type) {
	case nil:
		return 0
	case syscall.Errno:
		return e
	}
	if err == io.EOF {
		return 0
	}
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	slog.Error("linux: input/output error", "err", err)
	return syscall.EIO
}
