// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Requests for files of any kind (asm-generic/ioctls.h).
const (
	fionread = 0x541b
	fionbio  = 0x5421
	fionclex = 0x5450
	fioclex  = 0x5451
)

func sysIoctl(c *call) (int, syscall.Errno) {
	d, e := lookup(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	if d.flags.Load()&unix.O_PATH != 0 {
		return 0, syscall.EBADF
	}
	fd, arg := int(uint32(c.arg[0])), c.ptr(2)
	switch uint32(c.arg[1]) {
	case fioclex:
		setCloexec(fd, true)
		return 0, 0
	case fionclex:
		setCloexec(fd, false)
		return 0, 0
	case fionbio:
		on, e := arg.loadU32()
		if e != 0 || !isDoorFile(d) {
			return 0, e
		}
		var flag uint32
		if on != 0 {
			flag = syscall.O_NONBLOCK
		}
		return 0, d.setFlags(syscall.O_NONBLOCK, flag)
	}
	switch {
	case d.stream != nil:
		return ioctlStream(c, d.stream)
	case d.node.isBlock():
		return ioctlBlock(c, d)
	case uint32(c.arg[1]) == fionread && d.node.mode&syscall.S_IFMT == syscall.S_IFREG && d.file != nil:
		d.posMu.Lock()
		defer d.posMu.Unlock()
		return 0, arg.storeU32(uint32(d.file.Size() - d.pos))
	}
	if _, ok := d.file.(randomFile); ok || d == trapFiles[KindEpoll] {
		return 0, syscall.EINVAL // these two answer so
	}
	return 0, syscall.ENOTTY
}

func ioctlStream(c *call, s stream) (int, syscall.Errno) {
	_, isSocket := s.(*socket)
	switch uint32(c.arg[1]) {
	case fionread:
		if s, ok := s.(*socket); ok && s.listening.Load() {
			return 0, syscall.EINVAL
		}
		in, _ := s.buffered()
		return 0, c.ptr(2).storeU32(uint32(in))
	case unix.TIOCOUTQ:
		if isSocket {
			_, out := s.buffered()
			return 0, c.ptr(2).storeU32(uint32(out))
		}
	}
	return 0, syscall.ENOTTY
}

func ioctlBlock(c *call, d *description) (int, syscall.Errno) {
	b, ok := d.file.(*blockFile)
	if !ok {
		return 0, syscall.ENOTTY
	}
	const blkROGet = 0x125e // BLKROGET
	arg := c.ptr(2)
	switch uint32(c.arg[1]) {
	case unix.BLKGETSIZE64:
		return 0, arg.storeU64(uint64(b.Size()))
	case unix.BLKGETSIZE:
		return 0, arg.storeU64(uint64(b.Size() / 512))
	case unix.BLKSSZGET, unix.BLKPBSZGET:
		return 0, arg.storeU32(uint32(b.bs))
	case unix.BLKBSZGET:
		return 0, arg.storeU32(blockSize)
	case blkROGet:
		return 0, arg.storeU32(0)
	case unix.BLKFLSBUF:
		return 0, errnoOf(b.Sync())
	}
	return 0, syscall.ENOTTY
}

// flockState is the flock lock a description holds: guarded by flocks.mu.
type flockState int

const (
	flockNone flockState = iota
	flockShared
	flockExclusive
)

// flocks are the descriptions that hold a lock, by inode.
var flocks struct {
	mu      sync.Mutex
	cond    *sync.Cond
	holders map[*inode]map[*description]bool
}

func init() {
	flocks.cond = sync.NewCond(&flocks.mu)
	flocks.holders = make(map[*inode]map[*description]bool)
}

func sysFlock(c *call) (int, syscall.Errno) {
	var want flockState
	const mandatory = 32 // LOCK_MAND, which Linux has given up: it does nothing
	if c.int32Arg(1)&mandatory != 0 {
		return 0, 0
	}
	switch c.int32Arg(1) &^ syscall.LOCK_NB {
	case syscall.LOCK_SH:
		want = flockShared
	case syscall.LOCK_EX:
		want = flockExclusive
	case syscall.LOCK_UN:
	default:
		return 0, syscall.EINVAL
	}
	d, e := lookup(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	if d.flags.Load()&unix.O_PATH != 0 {
		return 0, syscall.EBADF
	}
	if d.node == nil || !isDoorFile(d) {
		return 0, 0 // nothing else can open it, so nothing can be in the way
	}
	flocks.mu.Lock()
	defer flocks.mu.Unlock()
	d.dropFlock() // like Linux: a change of the lock's kind gives it up first
	for want != flockNone && d.flockBlocked(want) {
		if c.int32Arg(1)&syscall.LOCK_NB != 0 {
			return 0, syscall.EWOULDBLOCK
		}
		flocks.cond.Wait()
	}
	if want != flockNone {
		if flocks.holders[d.node] == nil {
			flocks.holders[d.node] = make(map[*description]bool)
		}
		flocks.holders[d.node][d] = true
		d.lock = want
	}
	return 0, 0
}

// flockBlocked says whether another description's lock is in the way. flocks.mu is held.
func (d *description) flockBlocked(want flockState) bool {
	for other := range flocks.holders[d.node] {
		if other != d && (want == flockExclusive || other.lock == flockExclusive) {
			return true
		}
	}
	return false
}

// dropFlock gives up the lock, if any. flocks.mu is held.
func (d *description) dropFlock() {
	if d.lock == flockNone {
		return
	}
	d.lock = flockNone
	delete(flocks.holders[d.node], d)
	if len(flocks.holders[d.node]) == 0 {
		delete(flocks.holders, d.node)
	}
	flocks.cond.Broadcast()
}

// unlockFlock gives up the lock when the description is closed.
func (d *description) unlockFlock() {
	if d.node == nil {
		return
	}
	flocks.mu.Lock()
	defer flocks.mu.Unlock()
	d.dropFlock()
}
