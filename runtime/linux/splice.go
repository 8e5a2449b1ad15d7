// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// drain gives write what is at the front of the pipe, up to most bytes and in one piece, and takes out as
// much as was written.
func (p *pipeEnd) drain(most int, write func([]byte) (int, error)) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used == 0 {
		if p.writers == 0 {
			return 0, nil
		}
		return 0, syscall.EAGAIN
	}
	piece := p.ring[p.at:min(len(p.ring), p.at+min(p.used, most))]
	n, err := write(piece)
	if n = clamp(n, piece); n == 0 {
		return 0, err
	}
	p.used -= n
	if p.at = (p.at + n) % len(p.ring); p.used == 0 {
		p.at = 0
	}
	p.tellWriters()
	return n, nil
}

// fill puts what read gives at the end of the pipe, up to most bytes and in one piece.
func (p *pipeEnd) fill(most int, read func([]byte) (int, error)) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.readers == 0:
		return 0, syscall.EPIPE
	case p.used == p.size:
		return 0, syscall.EAGAIN
	case p.ring == nil:
		p.ring = make([]byte, p.size)
	}
	end := (p.at + p.used) % len(p.ring)
	piece := p.ring[end:min(len(p.ring), end+min(p.size-p.used, most))]
	n, err := read(piece)
	if n = clamp(n, piece); n == 0 {
		return 0, err
	}
	p.used += n
	p.tellReaders()
	return n, nil
}

// betweenPipes is held while the locks of two pipes are.
var betweenPipes sync.Mutex

// spliced is one side of splice: a pipe, another stream, or a file at an offset.
type spliced struct {
	d    *description
	pipe *pipeEnd
	at   ref   // where the offset is kept; nil: in the description
	off  int64 // of a file
}

func sysSplice(c *call) (int, syscall.Errno) {
	const known = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MORE | unix.SPLICE_F_GIFT
	flags, most := uint32(c.arg[5]), c.count(4)
	switch {
	case flags&^known != 0:
		return 0, syscall.EINVAL
	case most == 0:
		return 0, 0
	}
	in, e := splicedArg(c.arg[0], c.ptr(1), false)
	if e == syscall.EISDIR {
		e = syscall.EINVAL
	}
	if e != 0 {
		return 0, e
	}
	defer in.d.put()
	out, e := splicedArg(c.arg[2], c.ptr(3), true)
	if e != 0 {
		return 0, e
	}
	defer out.d.put()
	switch {
	case in.pipe == nil && out.pipe == nil, most < 0:
		return 0, syscall.EINVAL
	case in.pipe != nil && out.pipe != nil && in.pipe.pipe == out.pipe.pipe:
		return 0, syscall.EINVAL
	case out.d.file != nil && out.d.flags.Load()&syscall.O_APPEND != 0:
		return 0, syscall.EINVAL
	}
	n, err := splice(in, out, min(most, pipeMaxSize), flags&unix.SPLICE_F_NONBLOCK != 0)
	e = errnoOf(err)
	raisePipe(out.d.stream, e)
	if e == 0 {
		e = in.advance(n)
	}
	if e == 0 {
		e = out.advance(n)
	}
	return n, e
}

// splicedArg looks at a descriptor of splice and the offset that goes with it. Without an error the caller
// puts d.
func splicedArg(fd uintptr, at ref, write bool) (s spliced, e syscall.Errno) {
	if s.d, e = lookupFor(fd, write); e != 0 {
		return s, e
	}
	s.at = at
	s.pipe, _ = s.d.stream.(*pipeEnd)
	switch {
	case s.d.stream != nil && !at.isNil():
		e = syscall.ESPIPE
	case s.d.stream != nil:
	case s.d.file == nil:
		e = s.d.noData()
	case at.isNil():
		s.d.posMu.Lock()
		s.off = s.d.pos
		s.d.posMu.Unlock()
	default:
		var off uint64
		if off, e = at.loadU64(); e == 0 && int64(off) < 0 {
			e = syscall.EINVAL
		}
		s.off = int64(off)
	}
	if e != 0 {
		s.d.put()
	}
	return s, e
}

// advance moves the offset of a file.
func (s *spliced) advance(n int) syscall.Errno {
	switch {
	case s.d.file == nil:
		return 0
	case s.at.isNil():
		s.d.posMu.Lock()
		s.d.pos = s.off + int64(n)
		s.d.posMu.Unlock()
		return 0
	}
	return s.at.storeU64(uint64(s.off + int64(n)))
}

func (s *spliced) read(b []byte) (int, error) {
	if s.d.stream != nil {
		return s.d.stream.read(b)
	}
	n, e := s.d.readAt(b, s.off)
	if e != 0 {
		return n, e
	}
	return n, nil
}

func (s *spliced) write(b []byte) (int, error) {
	if s.d.stream != nil {
		return s.d.stream.write(b)
	}
	n, e := s.d.writeAt(b, s.off)
	if e != 0 {
		return n, e
	}
	return n, nil
}

// splice carries up to most bytes, once. It waits first for the side that it takes from, then for the other.
func splice(in, out spliced, most int, nonblock bool) (int, error) {
	once := func() (int, error) {
		switch {
		case in.pipe != nil && out.pipe != nil:
			betweenPipes.Lock()
			defer betweenPipes.Unlock()
			return out.pipe.fill(most, in.read)
		case in.pipe != nil:
			return in.pipe.drain(most, out.write)
		}
		return out.pipe.fill(most, in.read)
	}
	for {
		n, err := once()
		if err != syscall.EAGAIN {
			in.d.passedStream()
			out.d.passedStream()
			return n, err
		}
		waitFor := in.d
		if in.d.stream == nil || in.d.stream.ready()&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			waitFor = out.d
		}
		if waitFor.stream == nil {
			return 0, syscall.EAGAIN
		}
		waitFor.settle()
		if _, pipe := waitFor.stream.(*pipeEnd); waitFor.nonblock() || pipe && nonblock {
			return 0, syscall.EAGAIN
		}
		if err := waitFor.untilReady(waitFor == in.d); err != nil {
			return 0, err
		}
	}
}

// untilReady waits until a stream can be read (or written), as long as its timeout says.
func (d *description) untilReady(read bool) error {
	want := uint32(unix.EPOLLOUT | unix.EPOLLERR | unix.EPOLLHUP)
	if read {
		want = unix.EPOLLIN | unix.EPOLLERR | unix.EPOLLHUP
	}
	readWait, writeWait := d.streamTimeouts()
	if read {
		writeWait = readWait
	}
	_, err := d.block(writeWait, func() (int, error) {
		if d.stream.ready()&want == 0 {
			return 0, syscall.EAGAIN
		}
		return 0, nil
	})
	return err
}

// sysCopyFileRange copies between files in memory.
func sysCopyFileRange(c *call) (int, syscall.Errno) {
	in, e := splicedArg(c.arg[0], c.ptr(1), false)
	if e != 0 {
		return 0, copyErrno(e)
	}
	defer in.d.put()
	out, e := splicedArg(c.arg[2], c.ptr(3), true)
	if e != 0 {
		return 0, copyErrno(e)
	}
	defer out.d.put()
	n := c.count(4)
	src, ok1 := in.d.file.(*tmpFile)
	dst, ok2 := out.d.file.(*tmpFile)
	switch {
	case c.arg[5] != 0, !ok1 || !ok2, n < 0:
		return 0, syscall.EINVAL
	case out.d.flags.Load()&syscall.O_APPEND != 0:
		return 0, syscall.EBADF
	case out.off+int64(n) < out.off:
		return 0, syscall.EOVERFLOW
	case src.node == dst.node && in.off < out.off+int64(n) && out.off < in.off+int64(n):
		return 0, syscall.EINVAL
	}
	total, e := copyRange(&in, &out, n)
	if e != 0 {
		return 0, e
	}
	if e := in.advance(total); e != 0 {
		return 0, e
	}
	return total, out.advance(total)
}

// copyErrno: what has no offset is no file to copy.
func copyErrno(e syscall.Errno) syscall.Errno {
	if e == syscall.ESPIPE {
		return syscall.EINVAL
	}
	return e
}

func copyRange(in, out *spliced, n int) (total int, e syscall.Errno) {
	buf := sendfileBuffers.Get().(*[sendfileChunk]byte)
	defer sendfileBuffers.Put(buf)
	for total < n {
		k, e := in.d.readAt(buf[:min(n-total, sendfileChunk)], in.off+int64(total))
		wrote := 0
		if e == 0 && k > 0 {
			wrote, e = out.d.writeAt(buf[:k], out.off+int64(total))
		}
		total += wrote
		if e != 0 && total == 0 {
			return 0, e
		}
		if e != 0 || wrote == 0 || wrote < k {
			break
		}
	}
	return total, 0
}

// memfdName is how long the name of memfd_create may be.
const memfdName = 249

// sysMemfdCreate makes a file in memory that has no name. It cannot be sealed.
func sysMemfdCreate(c *call) (int, syscall.Errno) {
	flags := uint32(c.arg[1])
	if flags&^(unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL|unix.MFD_EXEC) != 0 || flags&(unix.MFD_EXEC|unix.MFD_NOEXEC_SEAL) == unix.MFD_EXEC|unix.MFD_NOEXEC_SEAL {
		return 0, syscall.EINVAL
	}
	name, e := c.ptr(0).pathString()
	switch {
	case e == syscall.ENAMETOOLONG || len(name) > memfdName:
		return 0, syscall.EINVAL
	case e != 0:
		return 0, e
	}
	n := newInode(&tmpFS, syscall.S_IFREG|0o777)
	n.data, n.nlink = new(tmpData), 0
	return installFile(n, "/memfd:"+name, syscall.O_RDWR|oLargefile, flags&unix.MFD_CLOEXEC != 0)
}

// openTmpfile makes a file without a name (O_TMPFILE), which linkat may give it unless O_EXCL forbids that.
func openTmpfile(dirfd int, at ref, flags, mode uint32) (int, syscall.Errno) {
	if flags&unix.O_TMPFILE != unix.O_TMPFILE || flags&syscall.O_CREAT != 0 || flags&syscall.O_ACCMODE == syscall.O_RDONLY {
		return 0, syscall.EINVAL
	}
	dir, e := find(dirfd, at, flags&syscall.O_NOFOLLOW == 0, 0)
	switch {
	case e != 0:
		return 0, e
	case !dir.isDir():
		return 0, syscall.ENOTDIR
	case !dir.fs.writable:
		return 0, syscall.EROFS
	}
	n := newInode(dir.fs, syscall.S_IFREG|mode&0o7777&^umask.Load())
	n.data, n.nlink, n.linkable = new(tmpData), 0, flags&syscall.O_EXCL == 0
	return installFile(n, "/#"+strconv.FormatUint(n.ino, 10), flags&^passingFlags|oLargefile, flags&syscall.O_CLOEXEC != 0)
}

// installFile gives a new file in memory a descriptor.
func installFile(n *inode, path string, flags uint32, cloexec bool) (int, syscall.Errno) {
	n.opens.Add(1)
	d := &description{node: n, path: path, file: &tmpFile{n}}
	d.refs.Store(1)
	d.flags.Store(flags)
	return installNew(d, cloexec)
}
