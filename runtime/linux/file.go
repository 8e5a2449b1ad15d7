// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"io"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

func sysRead(c *call) (int, syscall.Errno) {
	d, e := lookupFor(c.arg[0], false)
	if e != 0 {
		return 0, e
	}
	defer d.put()
	at := c.ptr(1)
	b, e := at.out(c.count(2))
	if e != 0 {
		return 0, e
	}
	n, e := d.read(b)
	at.done(b[:n])
	return n, e
}

func sysWrite(c *call) (int, syscall.Errno) {
	d, e := lookupFor(c.arg[0], true)
	if e != 0 {
		return 0, e
	}
	defer d.put()
	b, e := c.ptr(1).in(c.count(2))
	if e != 0 {
		return 0, e
	}
	return d.write(b)
}

func sysPread(c *call) (int, syscall.Errno) {
	d, e := lookupAt(c, false)
	if e != 0 {
		return 0, e
	}
	defer d.put()
	at := c.ptr(1)
	b, e := at.out(c.count(2))
	if e != 0 {
		return 0, e
	}
	n, e := d.readAt(b, int64(c.arg[3]))
	at.done(b[:n])
	return n, e
}

func sysPwrite(c *call) (int, syscall.Errno) {
	d, e := lookupAt(c, true)
	if e != 0 {
		return 0, e
	}
	defer d.put()
	b, e := c.ptr(1).in(c.count(2))
	if e != 0 {
		return 0, e
	}
	return d.writeAt(b, int64(c.arg[3]))
}

// lookupAt is lookupFor for a call with the offset in argument 3.
func lookupAt(c *call, write bool) (*description, syscall.Errno) {
	if int64(c.arg[3]) < 0 {
		return nil, syscall.EINVAL
	}
	d, e := lookup(c.arg[0])
	if e != 0 {
		return nil, e
	}
	switch {
	case d.flags.Load()&unix.O_PATH != 0:
		e = syscall.EBADF
	case !d.seekable():
		e = syscall.ESPIPE
	case !d.allows(write):
		e = syscall.EBADF
	}
	if e != 0 {
		d.put()
		return nil, e
	}
	return d, 0
}

// seekable says whether the file has an offset.
func (d *description) seekable() bool { return d.stream == nil && isDoorFile(d) }

// offsetOf says where a vectored call takes its offset from.
type offsetOf int

const (
	fileOffset       offsetOf = iota
	givenOffset               // argument 3
	givenOffsetFlags          // argument 3, -1 for the file's own; flags in argument 5
)

// positioned normalises the kind of offset, and refuses flags.
func (c *call) positioned(o offsetOf) (offsetOf, syscall.Errno) {
	if o == givenOffsetFlags {
		if c.arg[5] != 0 {
			return o, syscall.EOPNOTSUPP
		}
		if int64(c.arg[3]) == -1 {
			return fileOffset, 0
		}
		return givenOffset, 0
	}
	return o, 0
}

// vectoredCall does the common beginning of readv and its relatives. Without an error the caller puts d.
func vectoredCall(c *call, o offsetOf, write bool) (d *description, vs []vector, at offsetOf, e syscall.Errno) {
	if at, e = c.positioned(o); e != 0 {
		return
	}
	if at == givenOffset {
		d, e = lookupAt(c, write)
	} else {
		d, e = lookupFor(c.arg[0], write)
	}
	if e != 0 {
		return
	}
	if vs, e = c.ptr(1).vectors(int(uint32(c.arg[2]))); e == 0 {
		e = checkVectors(vs, !write)
	}
	if e != 0 {
		d.put()
	}
	return
}

func sysReadv(c *call, o offsetOf) (int, syscall.Errno) {
	d, vs, at, e := vectoredCall(c, o, false)
	if e != 0 {
		return 0, e
	}
	defer d.put()
	if s, ok := d.stream.(*socket); ok && s.typ != syscall.SOCK_STREAM {
		if vectorsLen(vs) == 0 {
			return 0, 0
		}
		return recvVectors(d, s, vs, 0, nil)
	}
	off, total := int64(c.arg[3]), 0
	for _, v := range vs {
		b, e := v.base.out(v.n)
		n := 0
		if e == 0 {
			n, e = d.readPart(b, at, off, total > 0)
		}
		v.base.done(b[:n])
		total += n
		off += int64(n)
		if e != 0 && total == 0 {
			return 0, e
		}
		if e != 0 || n < v.n {
			break
		}
	}
	return total, 0
}

// readPart reads one piece of a vectored read; only the first may block.
func (d *description) readPart(b []byte, at offsetOf, off int64, more bool) (int, syscall.Errno) {
	switch {
	case at == givenOffset:
		return d.readAt(b, off)
	case d.stream != nil && more:
		n, err := d.readStream(b, true)
		return n, errnoOf(err)
	}
	return d.read(b)
}

func sysWritev(c *call, o offsetOf) (int, syscall.Errno) {
	d, vs, at, e := vectoredCall(c, o, true)
	if e != 0 {
		return 0, e
	}
	defer d.put()
	if d.stream != nil && mustBeWhole(d.stream, vs) {
		b, e := gather(vs)
		if e != 0 {
			return 0, e
		}
		return d.write(b)
	}
	off, total := int64(c.arg[3]), 0
	for _, v := range vs {
		b, e := v.base.in(v.n)
		n := 0
		if e == 0 && at == givenOffset {
			n, e = d.writeAt(b, off)
		} else if e == 0 {
			n, e = d.write(b)
		}
		total += n
		off += int64(n)
		if e != 0 && total == 0 {
			return 0, e
		}
		if e != 0 || n < v.n {
			break
		}
	}
	return total, 0
}

// mustBeWhole says whether the vectors have to go down in one piece: one datagram, what a pipe promises not
// to interleave, and what would otherwise leave as many small segments of a stream.
func mustBeWhole(s stream, vs []vector) bool {
	if len(vs) < 2 {
		return false
	}
	if s, ok := s.(*socket); ok {
		return s.typ != syscall.SOCK_STREAM || vectorsLen(vs) <= maxDatagram
	}
	return vectorsLen(vs) <= pipeAtomic
}

// read reads at the file's offset, or from the stream.
func (d *description) read(b []byte) (int, syscall.Errno) {
	if d.stream != nil {
		if len(b) == 0 {
			return 0, 0
		}
		n, err := d.readStream(b, d.nonblock())
		return n, errnoOf(err)
	}
	d.posMu.Lock()
	defer d.posMu.Unlock()
	n, e := d.readAt(b, d.pos)
	d.pos += int64(n)
	return n, e
}

// write writes at the file's offset, at its end (O_APPEND), or to the stream.
func (d *description) write(b []byte) (int, syscall.Errno) {
	if d.stream != nil {
		n, err := d.writeStream(b, d.nonblock())
		e := errnoOf(err)
		raisePipe(d.stream, e)
		return n, e
	}
	d.posMu.Lock()
	defer d.posMu.Unlock()
	if f, ok := d.file.(*tmpFile); ok && d.flags.Load()&syscall.O_APPEND != 0 {
		end, n, e := f.append(b)
		d.pos = end
		return n, e
	}
	n, e := d.writeAt(b, d.pos)
	d.pos += int64(n)
	return n, e
}

func (d *description) readAt(b []byte, off int64) (int, syscall.Errno) {
	if d.file == nil {
		return 0, d.noData()
	}
	if len(b) == 0 {
		return 0, 0
	}
	n, err := d.file.ReadAt(b, off)
	return clamp(n, b), partial(n, err)
}

func (d *description) writeAt(b []byte, off int64) (int, syscall.Errno) {
	if d.file == nil {
		return 0, d.noData()
	}
	if len(b) == 0 {
		return 0, 0
	}
	n, err := d.file.WriteAt(b, off)
	if n > 0 && d.flags.Load()&syscall.O_DSYNC != 0 { // O_SYNC includes this bit
		if e := errnoOf(d.file.Sync()); e != 0 {
			return 0, e
		}
	}
	return clamp(n, b), partial(n, err)
}

// noData is the errno for reading or writing what has no bytes.
func (d *description) noData() syscall.Errno {
	if d.node != nil && d.node.isDir() {
		return syscall.EISDIR
	}
	return syscall.EINVAL
}

// clamp keeps a wrong count from below inside b.
func clamp(n int, b []byte) int { return max(0, min(n, len(b))) }

// partial hides an error after some bytes went through: the next call will meet it.
func partial(n int, err error) syscall.Errno {
	if n > 0 {
		return 0
	}
	return errnoOf(err)
}

func sysLseek(c *call) (int, syscall.Errno) {
	d, e := lookup(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	off, whence := int64(c.arg[1]), c.int32Arg(2)
	switch {
	case d.flags.Load()&unix.O_PATH != 0:
		return 0, syscall.EBADF
	case whence < 0 || whence > unix.SEEK_HOLE:
		return 0, syscall.EINVAL
	case d == trapFiles[KindEventFD] || d == trapFiles[KindEpoll]:
		return 0, 0 // as Linux has it, to no effect
	case !d.seekable():
		return 0, syscall.ESPIPE
	case d.node.mode&syscall.S_IFMT == syscall.S_IFCHR:
		return 0, 0
	}
	d.posMu.Lock()
	defer d.posMu.Unlock()
	to, e := d.seekTo(off, whence)
	if e == 0 {
		d.pos = to
	}
	return int(to), e
}

// seekTo finds the new offset. Of a file that is not the root file system's, the data is one piece and the
// only hole is at its end.
func (d *description) seekTo(off int64, whence int) (int64, syscall.Errno) {
	var size int64
	if d.file != nil {
		size = d.file.Size()
	}
	var to int64
	switch whence {
	case io.SeekStart:
		to = off
	case io.SeekCurrent:
		to = d.pos + off
	case io.SeekEnd:
		if d.file == nil {
			return 0, syscall.EINVAL
		}
		to = size + off
	default:
		if d.node.mode&syscall.S_IFMT != syscall.S_IFREG {
			return 0, syscall.EINVAL
		}
		if off < 0 || off >= size {
			return 0, syscall.ENXIO
		}
		if f, ok := d.file.(*tmpFile); ok {
			return f.seekData(off, whence == unix.SEEK_HOLE)
		}
		if to = off; whence == unix.SEEK_HOLE {
			to = size
		}
	}
	if to < 0 || d.node.isBlock() && to > size {
		return 0, syscall.EINVAL
	}
	return to, 0
}

func sysFsync(c *call) (int, syscall.Errno) {
	d, e := lookup(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	switch {
	case d.flags.Load()&unix.O_PATH != 0:
		return 0, syscall.EBADF
	case c.nr == unix.SYS_SYNCFS:
		return sysSync()
	case !d.seekable() || d.node.mode&syscall.S_IFMT == syscall.S_IFCHR:
		return 0, syscall.EINVAL
	case d.file == nil:
		return 0, 0 // a directory
	}
	return 0, errnoOf(d.file.Sync())
}

// sysSyncFileRange syncs the whole file.
func sysSyncFileRange(c *call) (int, syscall.Errno) {
	d, e := lookup(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	off, n := int64(c.arg[1]), int64(c.arg[2])
	switch {
	case d.flags.Load()&unix.O_PATH != 0:
		return 0, syscall.EBADF
	case uint32(c.arg[3])&^all != 0 || off < 0 || n < 0 || off+n < 0:
		return 0, syscall.EINVAL
	case !d.seekable() || d.node.mode&syscall.S_IFMT == syscall.S_IFCHR:
		return 0, syscall.ESPIPE
	}
	return sysFsync(c)
}

func sysFtruncate(c *call) (int, syscall.Errno) {
	size := int64(c.arg[1])
	if size < 0 {
		return 0, syscall.EINVAL
	}
	d, e := lookup(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	switch {
	case d.flags.Load()&unix.O_PATH != 0:
		return 0, syscall.EBADF
	case !d.seekable() || d.file == nil || d.node.mode&syscall.S_IFMT != syscall.S_IFREG || !d.allows(true):
		return 0, syscall.EINVAL
	}
	return 0, errnoOf(d.file.Truncate(size))
}

// sysFallocate lengthens a file, or punches a hole. Space is not set aside: what is not there shows as ENOSPC
// when written.
func sysFallocate(c *call) (int, syscall.Errno) {
	off, n := int64(c.arg[2]), int64(c.arg[3])
	if off < 0 || n <= 0 {
		return 0, syscall.EINVAL
	}
	d, e := lookupFor(c.arg[0], true)
	if e != 0 {
		return 0, e
	}
	defer d.put()
	f, ok := d.file.(*tmpFile)
	switch {
	case d.stream != nil:
		return 0, syscall.ESPIPE
	case off+n < off:
		return 0, syscall.EFBIG
	case !ok || c.arg[1]&^(unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE) != 0 || c.arg[1] == unix.FALLOC_FL_PUNCH_HOLE:
		return 0, syscall.EOPNOTSUPP
	case c.arg[1]&unix.FALLOC_FL_PUNCH_HOLE != 0:
		f.punch(off, min(off+n, tmpMaxSize))
		return 0, 0
	case off+n > tmpMaxSize:
		return 0, syscall.EFBIG
	case c.arg[1]&unix.FALLOC_FL_KEEP_SIZE != 0:
		return 0, 0
	case off+n <= f.Size():
		return 0, 0
	}
	return 0, errnoOf(f.Truncate(off + n))
}

func sysFadvise(c *call) (int, syscall.Errno) {
	d, e := lookup(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	_, isPipe := d.stream.(*pipeEnd)
	switch {
	case d.flags.Load()&unix.O_PATH != 0:
		return 0, syscall.EBADF
	case isPipe:
		return 0, syscall.ESPIPE
	case int64(c.arg[2]) < 0 || uint32(c.arg[3]) > unix.FADV_NOREUSE:
		return 0, syscall.EINVAL
	}
	return 0, 0
}

// sendfileChunk is how many bytes sendfile carries at a time.
const sendfileChunk = 64 << 10

var sendfileBuffers = sync.Pool{New: func() any { return new([sendfileChunk]byte) }}

func sysSendfile(c *call) (int, syscall.Errno) {
	in, e := lookupFor(c.arg[1], false)
	if e != 0 {
		return 0, e
	}
	defer in.put()
	out, e := lookupFor(c.arg[0], true)
	if e != 0 {
		return 0, e
	}
	defer out.put()
	if in.file == nil || out.stream == nil && out.file == nil || out.file != nil && out.flags.Load()&syscall.O_APPEND != 0 {
		return 0, syscall.EINVAL
	}
	if _, ok := in.file.(nullFile); ok && c.arg[3] != 0 {
		return 0, syscall.EINVAL // nothing can ever be sent from there
	}
	at := c.ptr(2)
	if at.isNil() {
		in.posMu.Lock()
		defer in.posMu.Unlock()
		n, e := copyFile(out, in, in.pos, c.count(3))
		in.pos += int64(n)
		return n, e
	}
	off, e := at.loadU64()
	switch {
	case e != 0:
		return 0, e
	case int64(off) < 0:
		return 0, syscall.EINVAL
	}
	n, e := copyFile(out, in, int64(off), c.count(3))
	if at.storeU64(off+uint64(n)) != 0 {
		return 0, syscall.EFAULT // what was sent is sent
	}
	return n, e
}

func copyFile(out, in *description, off int64, count int) (int, syscall.Errno) {
	buf := sendfileBuffers.Get().(*[sendfileChunk]byte)
	defer sendfileBuffers.Put(buf)
	if count < 0 {
		return 0, syscall.EINVAL
	}
	total := 0
	for total < count {
		n, e := in.readAt(buf[:min(count-total, sendfileChunk)], off+int64(total))
		if e == 0 && n > 0 {
			n, e = out.write(buf[:n])
		}
		total += n
		if e != 0 && total == 0 {
			return 0, e
		}
		if e != 0 || n == 0 {
			break
		}
	}
	return total, 0
}
