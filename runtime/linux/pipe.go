// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Sizes of pipes in bytes.
const (
	pipeSize    = 64 << 10 // room of a new pipe
	pipeMaxSize = 1 << 20  // the most F_SETPIPE_SZ gives
	pipeAtomic  = 4096     // PIPE_BUF: so much is written in one piece or not at all
)

// pipe is a ring of bytes between two ends.
type pipe struct {
	mu       sync.Mutex
	ring     []byte // guarded by mu; made with the first write
	size     int    // room in bytes; guarded by mu
	at, used int    // first byte and number of bytes in ring; guarded by mu

	readerGone, writerGone bool // guarded by mu

	reader, writer func(uint32) // tell a change of readiness; guarded by mu
	ino            uint64
	made           time.Time
}

// pipeEnd is one end of a pipe.
type pipeEnd struct {
	*pipe
	writing bool
}

func sysPipe(c *call, flags uint32) (int, syscall.Errno) {
	if flags&syscall.O_DIRECT != 0 && flags&^(syscall.O_CLOEXEC|syscall.O_NONBLOCK|syscall.O_DIRECT) == 0 {
		return 0, syscall.EINVAL // packet mode
	}
	if flags&^(syscall.O_CLOEXEC|syscall.O_NONBLOCK) != 0 {
		return 0, syscall.EINVAL
	}
	at := c.ptr(0)
	if !at.valid(8, true) {
		return 0, syscall.EFAULT
	}
	p := &pipe{size: pipeSize, ino: nextIno(), made: time.Now()}
	cloexec, status := flags&syscall.O_CLOEXEC != 0, flags&syscall.O_NONBLOCK
	r := newStream(&pipeEnd{p, false}, syscall.O_RDONLY|status)
	w := newStream(&pipeEnd{p, true}, syscall.O_WRONLY|status)
	return installPair(at, r, w, cloexec)
}

// installPair gives both descriptions descriptors and writes them to at. It takes over the references.
func installPair(at ref, first, second *description, cloexec bool) (int, syscall.Errno) {
	fd0, e := installNew(first, cloexec)
	if e != 0 {
		second.put()
		return 0, e
	}
	fd1, e := installNew(second, cloexec)
	if e != 0 {
		closeFD(fd0)
		return 0, e
	}
	var b [8]byte
	le.PutUint32(b[:], uint32(fd0))
	le.PutUint32(b[4:], uint32(fd1))
	return 0, at.copyOut(b[:])
}

func (p *pipeEnd) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used == 0 {
		if p.writerGone {
			return 0, nil
		}
		return 0, syscall.EAGAIN
	}
	n := min(len(b), p.used)
	k := copy(b[:n], p.ring[p.at:])
	copy(b[k:n], p.ring)
	wasFull := p.size-p.used < pipeAtomic
	p.used -= n
	if p.at = (p.at + n) % len(p.ring); p.used == 0 {
		p.at = 0
	}
	if wasFull && p.size-p.used >= pipeAtomic {
		p.tell(p.writer, p.writeReady())
	}
	return n, nil
}

func (p *pipeEnd) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readerGone {
		return 0, syscall.EPIPE
	}
	room := p.size - p.used
	switch {
	case len(b) == 0:
		return 0, nil
	case room == 0 || len(b) <= pipeAtomic && room < len(b):
		return 0, syscall.EAGAIN
	case p.ring == nil:
		p.ring = make([]byte, p.size)
	}
	n := min(len(b), room)
	end := (p.at + p.used) % len(p.ring)
	k := copy(p.ring[end:min(len(p.ring), end+n)], b[:n])
	copy(p.ring, b[k:n])
	p.used += n
	p.tell(p.reader, p.readReady())
	return n, nil
}

// tell reports a change to one end. mu is held.
func (p *pipe) tell(end func(uint32), ready uint32) {
	if end != nil {
		end(ready)
	}
}

// readReady is the readiness of the reading end. mu is held.
func (p *pipe) readReady() (r uint32) {
	if p.used > 0 {
		r = unix.EPOLLIN
	}
	if p.writerGone {
		r |= unix.EPOLLHUP
	}
	return r
}

// writeReady is the readiness of the writing end. mu is held.
func (p *pipe) writeReady() (r uint32) {
	if p.size-p.used >= pipeAtomic {
		r = unix.EPOLLOUT
	}
	if p.readerGone {
		r |= unix.EPOLLERR
	}
	return r
}

func (p *pipeEnd) ready() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing {
		return p.writeReady()
	}
	return p.readReady()
}

func (p *pipeEnd) notify(f func(uint32)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing {
		p.writer = f
	} else {
		p.reader = f
	}
}

func (p *pipeEnd) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing {
		p.writerGone = true
		p.tell(p.reader, p.readReady())
		return
	}
	p.readerGone = true
	p.ring, p.used = nil, 0
	p.tell(p.writer, p.writeReady())
}

func (p *pipeEnd) stat() stat {
	const pipeDev = 3
	return stat{dev: pipeDev, ino: p.ino, nlink: 1, mode: syscall.S_IFIFO | 0o600, atime: p.made, mtime: p.made, ctime: p.made}
}

func (p *pipeEnd) buffered() (in, out int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used, 0
}

func (p *pipeEnd) capacity() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size
}

// resize gives the pipe at least want bytes of room, a power of two, and returns how many.
func (p *pipeEnd) resize(want uint32) (int, syscall.Errno) {
	if want > pipeMaxSize {
		return 0, syscall.EPERM
	}
	size := pipeAtomic
	for size < int(want) {
		size *= 2
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if size < p.used {
		return 0, syscall.EBUSY
	}
	if p.ring != nil {
		ring := make([]byte, size)
		k := copy(ring, p.ring[p.at:min(len(p.ring), p.at+p.used)])
		copy(ring[k:], p.ring[:p.used-k])
		p.ring, p.at = ring, 0
	}
	p.size = size
	p.tell(p.writer, p.writeReady())
	return size, 0
}
