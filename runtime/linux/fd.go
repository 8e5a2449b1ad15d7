// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// oLargefile is what the kernel sets by itself on every file opened on a 64-bit machine.
const oLargefile = 0x8000

// description is an open file description: what one or more descriptors, and the calls under way on them,
// share. Exactly one of stream and file is set, except for directories, O_PATH and what the trap leaf
// serves, which have neither.
type description struct {
	refs  atomic.Int32  // descriptors plus calls under way
	flags atomic.Uint32 // access mode and status flags, as F_GETFL returns them

	stream stream // a pipe end or a socket
	file   File   // anything with an offset
	node   *inode // what was opened; nil for pipes and sockets
	path   string // for /proc/self/fd
	lock   flockState

	posMu sync.Mutex
	pos   int64 // guarded by posMu; in a directory the cookie of the last entry returned

	readiness readiness
}

// stream is what can be read or written only when it is ready. No method blocks: EAGAIN.
type stream interface {
	read(p []byte) (int, error)
	write(p []byte) (int, error)
	ready() uint32
	notify(func(ready uint32))
	stat() stat
	buffered() (in, out int)
	close()
}

// files holds the description of each descriptor of kind KindDoor.
var files struct {
	mu   sync.RWMutex
	byFD []*description // guarded by mu
}

// trapFiles stand for the descriptors that the trap leaf serves, in calls like fstat.
var trapFiles = [...]*description{
	KindConsole: trapFile("/dev/console", syscall.S_IFCHR|0o620, unix.Mkdev(5, 1)),
	KindEventFD: trapFile("anon_inode:[eventfd]", 0o600, 0),
	KindEpoll:   trapFile("anon_inode:[eventpoll]", 0o600, 0),
}

func trapFile(path string, mode uint32, rdev uint64) *description {
	d := &description{path: path, node: &inode{fs: &tmpFS, ino: nextIno(), mode: mode, rdev: rdev, nlink: 1}}
	d.flags.Store(syscall.O_RDWR)
	d.refs.Store(1) // never closed
	return d
}

// lookup finds the description of a descriptor. The caller calls put when done.
func lookup(fd uintptr) (*description, syscall.Errno) {
	n := int(uint32(fd))
	files.mu.RLock()
	if n < len(files.byFD) {
		if d := files.byFD[n]; d != nil {
			d.refs.Add(1)
			files.mu.RUnlock()
			return d, 0
		}
	}
	files.mu.RUnlock()
	return lookupTrapFile(n)
}

func lookupTrapFile(fd int) (*description, syscall.Errno) {
	if fd >= FDLimit {
		return nil, syscall.EBADF
	}
	kind, _, ok := FDKind(fd)
	if !ok || int(kind) >= len(trapFiles) || trapFiles[kind] == nil {
		return nil, syscall.EBADF
	}
	d := trapFiles[kind]
	d.refs.Add(1)
	return d, 0
}

// lookupFor is lookup for a call that reads or writes.
func lookupFor(fd uintptr, write bool) (*description, syscall.Errno) {
	d, e := lookup(fd)
	if e != 0 {
		return nil, e
	}
	if !d.allows(write) {
		d.put()
		return nil, syscall.EBADF
	}
	return d, 0
}

// allows says whether the file was opened for reading (or writing).
func (d *description) allows(write bool) bool {
	flags := d.flags.Load()
	if flags&unix.O_PATH != 0 {
		return false
	}
	mode := flags & syscall.O_ACCMODE
	return mode == syscall.O_RDWR || (mode == syscall.O_WRONLY) == write && mode != syscall.O_ACCMODE
}

func (d *description) nonblock() bool { return d.flags.Load()&syscall.O_NONBLOCK != 0 }

// put gives back one reference; the last one closes the file.
func (d *description) put() {
	if d.refs.Add(-1) != 0 {
		return
	}
	d.unlockFlock()
	switch {
	case d.stream != nil:
		d.stream.notify(nil)
		d.stream.close()
	case d.file != nil:
		d.file.Close()
	}
	if n := d.node; n != nil {
		tree.mu.RLock()
		defer tree.mu.RUnlock()
		n.opens.Add(-1)
		n.freeIfGone()
	}
}

// newStream makes the description of a pipe end or a socket, with one reference.
func newStream(s stream, flags uint32) *description {
	d := &description{stream: s}
	d.refs.Store(1)
	d.flags.Store(flags)
	s.notify(d.changed)
	return d
}

// reserve takes the lowest free descriptor from min on. Until publish nothing is behind it.
func reserve(kind uint8, flags uint32, cloexec bool, min int) (int, syscall.Errno) {
	if cloexec {
		flags |= syscall.O_CLOEXEC
	}
	fd := AllocFD(kind, flags, min)
	if fd < 0 {
		return 0, syscall.Errno(-fd)
	}
	return fd, 0
}

// publish puts d behind a reserved descriptor, which takes a reference of its own.
func publish(d *description, fd int) {
	d.refs.Add(1)
	files.mu.Lock()
	for fd >= len(files.byFD) {
		files.byFD = append(files.byFD, nil)
	}
	files.byFD[fd] = d
	d.attach(fd)
	files.mu.Unlock()
	if d.stream != nil {
		d.settle()
	}
}

// install gives d a descriptor, the lowest free one from min on.
func install(d *description, cloexec bool, min int) (int, syscall.Errno) {
	var flags uint32
	if d.stream == nil {
		flags = NotPollable
	}
	if d.flags.Load()&unix.O_PATH != 0 {
		flags |= PathOnly
	}
	fd, e := reserve(KindDoor, flags, cloexec, min)
	if e == 0 {
		publish(d, fd)
	}
	return fd, e
}

// installNew is install for a new description: it takes over the reference.
func installNew(d *description, cloexec bool) (int, syscall.Errno) {
	fd, e := install(d, cloexec, 0)
	d.put()
	return fd, e
}

// closeFD frees a descriptor of any kind.
func closeFD(fd int) syscall.Errno {
	files.mu.Lock()
	var d *description
	if fd >= 0 && fd < len(files.byFD) {
		d = files.byFD[fd]
	}
	if d == nil {
		files.mu.Unlock()
		if fd < 0 || fd >= FDLimit {
			return syscall.EBADF
		}
		if _, _, ok := FDKind(fd); !ok {
			return syscall.EBADF
		}
		FreeFD(fd)
		return 0
	}
	files.byFD[fd] = nil
	d.detach(fd)
	FreeFD(fd) // inside the lock: the number is given out again only when its slot is empty
	files.mu.Unlock()
	d.put()
	return 0
}

func sysClose(c *call) (int, syscall.Errno) { return 0, closeFD(int(int32(c.arg[0]))) }

func sysCloseRange(c *call) (int, syscall.Errno) {
	first, last, flags := uint(uint32(c.arg[0])), uint(uint32(c.arg[1])), c.arg[2]
	if first > last || flags&^(unix.CLOSE_RANGE_CLOEXEC|unix.CLOSE_RANGE_UNSHARE) != 0 {
		return 0, syscall.EINVAL
	}
	end := min(last, uint(FDLimit)-1)
	for fd := NextFD(int(first)); fd <= int(end); fd = NextFD(fd + 1) {
		if flags&unix.CLOSE_RANGE_CLOEXEC == 0 {
			closeFD(fd)
		} else {
			setCloexec(fd, true)
		}
	}
	return 0, 0
}

// setCloexec sets or clears close-on-exec and leaves the other flags of the descriptor alone.
func setCloexec(fd int, on bool) {
	_, flags, ok := FDKind(fd)
	if flags &^= syscall.O_CLOEXEC; on {
		flags |= syscall.O_CLOEXEC
	}
	if ok {
		SetFDFlags(fd, flags)
	}
}

func sysDup(c *call) (int, syscall.Errno) { return dupFD(c.arg[0], false, 0) }

func dupFD(fd uintptr, cloexec bool, min int) (int, syscall.Errno) {
	d, e := lookup(fd)
	if e != 0 {
		return 0, e
	}
	defer d.put()
	if !isDoorFile(d) {
		return dupTrapFile(fd, cloexec, min)
	}
	return install(d, cloexec, min)
}

// dupTrapFile duplicates a descriptor that the trap leaf serves.
func dupTrapFile(fd uintptr, cloexec bool, min int) (int, syscall.Errno) {
	var flags uint32
	if cloexec {
		flags = syscall.O_CLOEXEC
	}
	n := DupFD(int(uint32(fd)), flags, min)
	if n < 0 {
		return 0, syscall.Errno(-n)
	}
	return n, 0
}

func isDoorFile(d *description) bool { return !slices.Contains(trapFiles[:], d) }

func sysDup2(c *call) (int, syscall.Errno) {
	if c.arg[0] == c.arg[1] {
		d, e := lookup(c.arg[0])
		if e == 0 {
			d.put()
		}
		return int(uint32(c.arg[0])), e
	}
	return dupTo(c.arg[0], c.arg[1], false)
}

func sysDup3(c *call) (int, syscall.Errno) {
	if c.arg[2]&^syscall.O_CLOEXEC != 0 || uint32(c.arg[0]) == uint32(c.arg[1]) {
		return 0, syscall.EINVAL
	}
	return dupTo(c.arg[0], c.arg[1], c.arg[2] != 0)
}

// dupTo makes newFD another descriptor of oldFD's file, after closing what it was.
func dupTo(oldFD, newFD uintptr, cloexec bool) (int, syscall.Errno) {
	to := int(uint32(newFD))
	if to >= fdLimit() {
		return 0, syscall.EBADF
	}
	d, e := lookup(oldFD)
	if e != 0 {
		return 0, e
	}
	defer d.put()
	closeFD(to)
	fd, e := 0, syscall.Errno(0)
	if isDoorFile(d) {
		fd, e = install(d, cloexec, to)
	} else {
		fd, e = dupTrapFile(oldFD, cloexec, to)
	}
	if e == 0 && fd != to { // somebody opened a file in between: Linux has the same race and this answer
		closeFD(fd)
		return 0, syscall.EBUSY
	}
	return fd, e
}

// settableFlags are the status flags F_SETFL changes.
const settableFlags = syscall.O_APPEND | syscall.O_NONBLOCK | syscall.O_DIRECT | syscall.O_NOATIME | syscall.O_ASYNC

func sysFcntl(c *call) (int, syscall.Errno) {
	d, e := lookup(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	fd, arg := int(uint32(c.arg[0])), c.arg[2]
	switch cmd := c.int32Arg(1); cmd {
	case syscall.F_DUPFD, syscall.F_DUPFD_CLOEXEC:
		min := int(uint32(arg))
		if min >= fdLimit() {
			return 0, syscall.EINVAL
		}
		return dupFD(c.arg[0], cmd == syscall.F_DUPFD_CLOEXEC, min)
	case syscall.F_GETFD:
		_, flags, ok := FDKind(fd)
		if !ok {
			return 0, syscall.EBADF
		}
		if flags&syscall.O_CLOEXEC != 0 {
			return syscall.FD_CLOEXEC, 0
		}
		return 0, 0
	case syscall.F_SETFD:
		setCloexec(fd, arg&syscall.FD_CLOEXEC != 0)
		return 0, 0
	case syscall.F_GETFL:
		return int(d.flags.Load()), 0
	}
	if d.flags.Load()&unix.O_PATH != 0 {
		return 0, syscall.EBADF
	}
	return fcntlFile(c, d)
}

func fcntlFile(c *call, d *description) (int, syscall.Errno) {
	switch c.int32Arg(1) {
	case syscall.F_SETFL:
		return 0, d.setFlags(settableFlags, uint32(c.arg[2]))
	case syscall.F_SETLK, syscall.F_SETLKW:
		// Such a lock belongs to the process, and there is only one.
		var b [32]byte
		return 0, c.ptr(2).copyIn(b[:])
	case syscall.F_GETLK:
		if !c.ptr(2).valid(32, true) {
			return 0, syscall.EFAULT
		}
		return 0, c.ptr(2).copyOut([]byte{unix.F_UNLCK, 0})
	case unix.F_GETOWN:
		return 0, 0
	case unix.F_SETPIPE_SZ, unix.F_GETPIPE_SZ:
		end, ok := d.stream.(*pipeEnd)
		if !ok {
			return 0, syscall.EBADF
		}
		if c.int32Arg(1) == unix.F_GETPIPE_SZ {
			return end.capacity(), 0
		}
		return end.resize(uint32(c.arg[2]))
	}
	return 0, syscall.EINVAL
}

// setFlags sets the status flags in mask to flags.
func (d *description) setFlags(mask, flags uint32) syscall.Errno {
	if flags&mask&syscall.O_DIRECT != 0 && d.stream != nil {
		return syscall.EINVAL
	}
	for {
		old := d.flags.Load()
		if d.flags.CompareAndSwap(old, old&^mask|flags&mask) {
			return 0
		}
	}
}
