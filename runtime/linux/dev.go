// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Device numbers (Documentation/admin-guide/devices.txt).
const (
	memMajor = 1 // null 3, zero 5, full 7, random 8, urandom 9
	ttyMajor = 5 // tty 0, console 1
	sdMajor  = 8 // 16 minors for each disk
)

func registerDevices() {
	for _, d := range []struct {
		name  string
		minor uint32
		file  File
	}{
		{"null", 3, nullFile{}},
		{"zero", 5, zeroFile{}},
		{"full", 7, fullFile{}},
		{"random", 8, randomFile{}},
		{"urandom", 9, randomFile{}},
	} {
		n := newInode(&tmpFS, syscall.S_IFCHR|0o666)
		n.rdev = unix.Mkdev(memMajor, d.minor)
		n.open = func() (File, error) { return d.file, nil }
		register("/dev/"+d.name, n)
	}
	tty := newInode(&tmpFS, syscall.S_IFCHR|0o666)
	tty.rdev = unix.Mkdev(ttyMajor, 0)
	tty.open = func() (File, error) { return nil, syscall.ENXIO } // no controlling terminal
	register("/dev/tty", tty)
	console := newInode(&tmpFS, syscall.S_IFCHR|0o620)
	console.rdev = unix.Mkdev(ttyMajor, 1)
	console.cons = true
	register("/dev/console", console)
	RegisterLink("/dev/stdin", "/proc/self/fd/0")
	RegisterLink("/dev/stdout", "/proc/self/fd/1")
	RegisterLink("/dev/stderr", "/proc/self/fd/2")
	RegisterLink("/dev/fd", "/proc/self/fd")
}

// device is what character devices without an offset have in common.
type device struct{}

func (device) Size() int64          { return 0 }
func (device) Truncate(int64) error { return syscall.EINVAL }
func (device) Sync() error          { return syscall.EINVAL }
func (device) Close() error         { return nil }

type nullFile struct{ device }

func (nullFile) ReadAt([]byte, int64) (int, error)      { return 0, nil }
func (nullFile) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }

type zeroFile struct{ nullFile }

func (zeroFile) ReadAt(b []byte, _ int64) (int, error) { clear(b); return len(b), nil }

type fullFile struct{ zeroFile }

func (fullFile) WriteAt([]byte, int64) (int, error) { return 0, syscall.ENOSPC }

// randomFile serves both random and urandom. What is written is mixed in but trusted for nothing.
type randomFile struct{ device }

func (randomFile) ReadAt(b []byte, _ int64) (int, error) {
	if e := readRandom(b); e != 0 {
		return 0, syscall.EIO
	}
	return len(b), nil
}

func (randomFile) WriteAt(b []byte, _ int64) (int, error) {
	mixRandom(b)
	return len(b), nil
}

// RegisterBlock makes a disk appear as /dev/name ("sda", "sdb" …).
func RegisterBlock(name string, dev BlockDevice) error {
	bs := dev.BlockSize()
	if bs < 512 || bs > 65536 || bs&(bs-1) != 0 || dev.Size() < 0 || dev.Size()%int64(bs) != 0 {
		return fmt.Errorf("linux: disk %s: size %d is no multiple of a block size %d that is a power of two from 512 to 65536", name, dev.Size(), bs)
	}
	disks.Lock()
	index := len(disks.all)
	disks.all = append(disks.all, dev)
	disks.Unlock()
	n := newInode(&tmpFS, syscall.S_IFBLK|0o660)
	n.rdev = unix.Mkdev(sdMajor, uint32(index)*16)
	b := &blockFile{dev: dev, bs: int64(bs)}
	n.open = func() (File, error) { return b, nil }
	register("/dev/"+name, n)
	return nil
}

// disks are all registered block devices.
var disks struct {
	sync.Mutex
	all []BlockDevice
}

// sysSync flushes every disk. Like Linux's it always succeeds: errors show on fsync.
func sysSync() (int, syscall.Errno) {
	disks.Lock()
	all := disks.all
	disks.Unlock()
	for _, d := range all {
		errnoOf(d.Flush())
	}
	return 0, 0
}

// blockFile gives a disk bytes instead of blocks. Whole blocks go straight between the caller's memory and
// the device.
type blockFile struct {
	dev BlockDevice
	bs  int64

	// partial is held for writing while a block is read, changed and written back, so that no other
	// write to that block is lost; other writers share it.
	partial sync.RWMutex
}

func (b *blockFile) Size() int64          { return b.dev.Size() }
func (b *blockFile) Truncate(int64) error { return syscall.EINVAL }
func (b *blockFile) Sync() error          { return b.dev.Flush() }
func (b *blockFile) Close() error         { return nil }

// spans cuts n bytes at off into the bytes before the first block boundary, whole blocks, and the rest.
func (b *blockFile) spans(off, n int64) (head, whole, tail int64) {
	if in := off % b.bs; in != 0 {
		head = min(b.bs-in, n)
	}
	tail = (n - head) % b.bs
	return head, n - head - tail, tail
}

func (b *blockFile) ReadAt(p []byte, off int64) (int, error) {
	size := b.dev.Size()
	if off >= size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), size-off)]
	head, whole, _ := b.spans(off, int64(len(p)))
	if err := b.readPartial(p[:head], off); err != nil {
		return 0, err
	}
	if whole > 0 {
		n, err := b.dev.ReadAt(p[head:head+whole], off+head)
		if int64(n) < whole {
			return int(head) + clamp(n, p[head:]), noEOF(err)
		}
	}
	if err := b.readPartial(p[head+whole:], off+head+whole); err != nil {
		return int(head + whole), err
	}
	return len(p), nil
}

// readPartial reads a part of one block.
func (b *blockFile) readPartial(p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	block := make([]byte, b.bs)
	at := off - off%b.bs
	if n, err := b.dev.ReadAt(block, at); n < len(block) {
		return noEOF(err)
	}
	copy(p, block[off-at:])
	return nil
}

func (b *blockFile) WriteAt(p []byte, off int64) (int, error) {
	size := b.dev.Size()
	if off >= size {
		return 0, syscall.ENOSPC
	}
	p = p[:min(int64(len(p)), size-off)]
	head, whole, tail := b.spans(off, int64(len(p)))
	if head == 0 && tail == 0 {
		b.partial.RLock()
		defer b.partial.RUnlock()
	} else {
		b.partial.Lock()
		defer b.partial.Unlock()
	}
	if err := b.writePartial(p[:head], off); err != nil {
		return 0, err
	}
	if whole > 0 {
		n, err := b.dev.WriteAt(p[head:head+whole], off+head)
		if int64(n) < whole {
			return int(head) + clamp(n, p[head:]), noEOF(err)
		}
	}
	if err := b.writePartial(p[head+whole:], off+head+whole); err != nil {
		return int(head + whole), err
	}
	return len(p), nil
}

// writePartial changes a part of one block. partial is held for writing if there is anything to do.
func (b *blockFile) writePartial(p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	block := make([]byte, b.bs)
	at := off - off%b.bs
	if n, err := b.dev.ReadAt(block, at); n < len(block) {
		return noEOF(err)
	}
	copy(block[off-at:], p)
	if n, err := b.dev.WriteAt(block, at); n < len(block) {
		return noEOF(err)
	}
	return nil
}

// noEOF is the error of a transfer that a disk cut short inside its own size.
func noEOF(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return syscall.EIO
	}
	return err
}
