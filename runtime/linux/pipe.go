// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"slices"
	"sync"
	"syscall"

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

	readers, writers         int        // ends of either kind; guarded by mu
	readersCame, writersCame uint64     // how many there ever were; guarded by mu
	ends                     []*pipeEnd // guarded by mu
}

// pipeEnd is one end of a pipe. One of a named pipe opened with O_RDWR is both.
type pipeEnd struct {
	*pipe
	node             *inode
	reading, writing bool
	tell             func(uint32) // tells a change of readiness; guarded by mu
	writersBefore    uint64       // of writersCame: so many had gone when it was opened, which is no hang-up
}

// newPipe makes a pipe's inode.
func newPipe(fs *fileSystem, mode uint32) *inode {
	n := newInode(fs, syscall.S_IFIFO|mode)
	n.pipe = &pipe{size: pipeSize}
	return n
}

// newEnd adds an end to a pipe and gives its description, with one reference; flags are open's. The caller
// has counted it in n.opens.
func (n *inode) newEnd(flags uint32) *description {
	mode := flags & syscall.O_ACCMODE
	end := &pipeEnd{pipe: n.pipe, node: n, reading: mode != syscall.O_WRONLY, writing: mode != syscall.O_RDONLY}
	d := newStream(end, flags)
	d.node = n
	p := n.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writers == 0 && flags&syscall.O_NONBLOCK != 0 {
		end.writersBefore = p.writersCame
	}
	if end.reading {
		p.readers++
		p.readersCame++
	}
	if end.writing {
		p.writers++
		p.writersCame++
	}
	p.ends = append(p.ends, end)
	p.tellAll()
	return d
}

// openPipe opens a named pipe (fifo(7)): for reading it waits for a writer, for writing for a reader.
func (n *inode) openPipe(flags uint32) (*description, syscall.Errno) {
	p := n.pipe
	p.mu.Lock()
	readersCame, writersCame, readers := p.readersCame, p.writersCame, p.readers
	p.mu.Unlock()
	mode, nonblock := flags&syscall.O_ACCMODE, flags&syscall.O_NONBLOCK != 0
	if mode == syscall.O_WRONLY && nonblock && readers == 0 {
		n.opens.Add(-1)
		return nil, syscall.ENXIO
	}
	d := n.newEnd(flags&^passingFlags | oLargefile)
	if nonblock || mode == syscall.O_RDWR {
		return d, 0
	}
	_, err := d.block(0, func() (int, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		there := p.writers > 0 || p.writersCame != writersCame
		if mode == syscall.O_WRONLY {
			there = p.readers > 0 || p.readersCame != readersCame
		}
		if !there {
			return 0, syscall.EAGAIN
		}
		return 0, nil
	})
	return d, errnoOf(err)
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
	n := newPipe(&pipeFS, 0o600)
	n.opens.Store(2)
	cloexec, status := flags&syscall.O_CLOEXEC != 0, flags&syscall.O_NONBLOCK
	r := n.newEnd(syscall.O_RDONLY | status)
	w := n.newEnd(syscall.O_WRONLY | status)
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
		if p.writers == 0 {
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
		p.tellWriters()
	}
	return n, nil
}

func (p *pipeEnd) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers == 0 {
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
	p.tellReaders()
	return n, nil
}

// tellReaders and tellWriters report a change to the ends of one kind. mu is held.
func (p *pipe) tellReaders() { p.tellEnds(func(e *pipeEnd) bool { return e.reading }) }
func (p *pipe) tellWriters() { p.tellEnds(func(e *pipeEnd) bool { return e.writing }) }
func (p *pipe) tellAll()     { p.tellEnds(func(*pipeEnd) bool { return true }) }

func (p *pipe) tellEnds(which func(*pipeEnd) bool) {
	for _, e := range p.ends {
		if which(e) && e.tell != nil {
			e.tell(e.readiness())
		}
	}
}

// readiness is what ready tells. mu is held.
func (p *pipeEnd) readiness() (r uint32) {
	if p.reading {
		if p.used > 0 {
			r = unix.EPOLLIN
		}
		if p.writers == 0 && p.writersCame != p.writersBefore {
			r |= unix.EPOLLHUP
		}
	}
	if p.writing {
		if p.size-p.used >= pipeAtomic {
			r |= unix.EPOLLOUT
		}
		if p.readers == 0 {
			r |= unix.EPOLLERR
		}
	}
	return r
}

func (p *pipeEnd) ready() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.readiness()
}

func (p *pipeEnd) notify(f func(uint32)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell = f
}

func (p *pipeEnd) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.ends, p); i >= 0 {
		p.ends = slices.Delete(p.ends, i, i+1)
	}
	if p.reading {
		p.readers--
	}
	if p.writing {
		p.writers--
	}
	if p.readers == 0 && p.writers == 0 {
		p.ring, p.at, p.used = nil, 0, 0 // what nobody can read any more
	}
	p.tellAll()
}

func (p *pipeEnd) stat() stat { return p.node.stat() }

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
	p.tellWriters()
	return size, 0
}
