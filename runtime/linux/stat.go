// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Sizes of struct stat, struct statx and struct statfs on x86-64 (asm/stat.h, linux/stat.h, asm/statfs.h).
const (
	statSize   = 144
	statxSize  = 256
	statfsSize = 120
)

// blockSize is st_blksize: the size in bytes of reads and writes that suit everything here.
const blockSize = 4096

// stat is what stat and statx tell of a file.
type stat struct {
	dev, ino, rdev      uint64
	nlink, mode         uint32
	uid, gid            uint32
	size, blocks        int64 // bytes; units of 512 bytes
	atime, mtime, ctime time.Time
}

// stat describes an inode. The text of a generated file is made outside the tree's lock, for it may be
// any function.
func (n *inode) stat() stat {
	var size, blocks int64
	switch {
	case n.data != nil:
		pages := int64(0)
		size, pages = n.data.usage()
		blocks = pages * (tmpPage / 512)
	case n.link != nil:
		size = int64(len(n.link()))
	case n.text != nil && n.mode&0o222 != 0:
		size = int64(len(n.text()))
		blocks = (size + 511) / 512
	}
	tree.mu.RLock()
	defer tree.mu.RUnlock()
	n.timeMu.Lock()
	defer n.timeMu.Unlock()
	return stat{dev: n.fs.dev, ino: n.ino, rdev: n.rdev, nlink: n.nlink, mode: n.mode, uid: n.uid, gid: n.gid,
		size: size, blocks: blocks, atime: n.atime, mtime: n.mtime, ctime: n.ctime}
}

func (d *description) stat() stat {
	if d.stream != nil {
		return d.stream.stat()
	}
	return d.node.stat()
}

func (s stat) encode() (b [statSize]byte) {
	le.PutUint64(b[0:], s.dev)
	le.PutUint64(b[8:], s.ino)
	le.PutUint64(b[16:], uint64(s.nlink))
	le.PutUint32(b[24:], s.mode)
	le.PutUint32(b[28:], s.uid)
	le.PutUint32(b[32:], s.gid)
	le.PutUint64(b[40:], s.rdev)
	le.PutUint64(b[48:], uint64(s.size))
	le.PutUint64(b[56:], blockSize)
	le.PutUint64(b[64:], uint64(s.blocks))
	for i, t := range []time.Time{s.atime, s.mtime, s.ctime} {
		le.PutUint64(b[72+16*i:], uint64(t.Unix()))
		le.PutUint64(b[80+16*i:], uint64(t.Nanosecond()))
	}
	return b
}

func (s stat) encodeX() (b [statxSize]byte) {
	le.PutUint32(b[0:], unix.STATX_BASIC_STATS)
	le.PutUint32(b[4:], blockSize)
	le.PutUint32(b[16:], s.nlink)
	le.PutUint32(b[20:], s.uid)
	le.PutUint32(b[24:], s.gid)
	le.PutUint16(b[28:], uint16(s.mode))
	le.PutUint64(b[32:], s.ino)
	le.PutUint64(b[40:], uint64(s.size))
	le.PutUint64(b[48:], uint64(s.blocks))
	for at, t := range map[int]time.Time{64: s.atime, 96: s.ctime, 112: s.mtime} {
		le.PutUint64(b[at:], uint64(t.Unix()))
		le.PutUint32(b[at+8:], uint32(t.Nanosecond()))
	}
	le.PutUint32(b[128:], unix.Major(s.rdev))
	le.PutUint32(b[132:], unix.Minor(s.rdev))
	le.PutUint32(b[136:], unix.Major(s.dev))
	le.PutUint32(b[140:], unix.Minor(s.dev))
	return b
}

// statArg finds what the stat family asks about.
func statArg(dirfd int, at ref, flags int) (stat, syscall.Errno) {
	follow := flags&unix.AT_SYMLINK_NOFOLLOW == 0
	if flags&unix.AT_EMPTY_PATH != 0 && dirfd != unix.AT_FDCWD {
		path, e := at.pathString()
		if e != 0 {
			return stat{}, e
		}
		if path == "" {
			return statFD(uintptr(dirfd))
		}
	}
	n, e := find(dirfd, at, follow, flags)
	if e != 0 {
		return stat{}, e
	}
	return n.stat(), 0
}

func statFD(fd uintptr) (stat, syscall.Errno) {
	d, e := lookup(fd)
	if e != 0 {
		return stat{}, e
	}
	defer d.put()
	return d.stat(), 0
}

// atStatxSyncType is AT_STATX_SYNC_TYPE.
const atStatxSyncType = unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC

// statFlags are the flags the stat family knows; how fresh a remote file's answer is does not matter here.
const statFlags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_EMPTY_PATH | atStatxSyncType

func sysStat(dirfd int, at, buf ref, flags int) (int, syscall.Errno) {
	if flags&^statFlags != 0 {
		return 0, syscall.EINVAL
	}
	s, e := statArg(dirfd, at, flags)
	if e != 0 {
		return 0, e
	}
	b := s.encode()
	return 0, buf.copyOut(b[:])
}

func sysFstat(c *call) (int, syscall.Errno) {
	s, e := statFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	b := s.encode()
	return 0, c.ptr(1).copyOut(b[:])
}

func sysStatx(c *call) (int, syscall.Errno) {
	flags, mask := c.int32Arg(2), uint32(c.arg[3])
	if mask&unix.STATX__RESERVED != 0 || flags&^statFlags != 0 || flags&atStatxSyncType == atStatxSyncType {
		return 0, syscall.EINVAL
	}
	s, e := statArg(c.int32Arg(0), c.ptr(1), flags)
	if e != 0 {
		return 0, e
	}
	b := s.encodeX()
	return 0, c.ptr(4).copyOut(b[:])
}

func sysStatfs(c *call) (int, syscall.Errno) {
	fs := &fileSystem{magic: unix.PIPEFS_MAGIC}
	if c.nr == unix.SYS_STATFS {
		n, e := find(unix.AT_FDCWD, c.ptr(0), true, 0)
		if e != 0 {
			return 0, e
		}
		fs = n.fs
	} else {
		d, e := lookup(c.arg[0])
		if e != 0 {
			return 0, e
		}
		defer d.put()
		if d.node != nil {
			fs = d.node.fs
		} else if _, ok := d.stream.(*socket); ok {
			fs.magic = unix.SOCKFS_MAGIC
		}
	}
	b := fs.encode()
	return 0, c.ptr(1).copyOut(b[:])
}

func (fs *fileSystem) encode() (b [statfsSize]byte) {
	var used, limit int64
	if fs.writable {
		used, limit = Store.Usage()
	}
	free := uint64(max(0, limit-used))
	le.PutUint64(b[0:], uint64(fs.magic))
	le.PutUint64(b[8:], tmpPage)
	le.PutUint64(b[16:], uint64(limit))
	le.PutUint64(b[24:], free)
	le.PutUint64(b[32:], free)
	le.PutUint32(b[56:], uint32(fs.dev))
	le.PutUint64(b[64:], nameMax)
	le.PutUint64(b[72:], tmpPage)
	const valid = 0x20 // ST_VALID
	flags := uint64(valid)
	if !fs.writable {
		flags |= unix.ST_RDONLY
	}
	le.PutUint64(b[80:], flags)
	return b
}

// change is the common way of the calls that change what stat tells of a file.
func change(n *inode, e syscall.Errno, set func()) (int, syscall.Errno) {
	switch {
	case e != 0:
		return 0, e
	case !n.fs.writable:
		return 0, syscall.EROFS
	}
	tree.mu.Lock()
	set()
	tree.mu.Unlock()
	n.touch(false)
	return 0, 0
}

func (n *inode) setMode(mode uint32) func() {
	return func() { n.mode = n.mode&syscall.S_IFMT | mode&0o7777 }
}

func (n *inode) setOwner(uid, gid uint32) func() {
	return func() {
		if uid != ^uint32(0) {
			n.uid = uid
		}
		if gid != ^uint32(0) {
			n.gid = gid
		}
	}
}

func sysChmod(dirfd int, at ref, mode uint32, flags int) (int, syscall.Errno) {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	n, e := find(dirfd, at, flags&unix.AT_SYMLINK_NOFOLLOW == 0, flags)
	if e == 0 && n.isLink() {
		e = syscall.EOPNOTSUPP // a link has no permissions of its own
	}
	return change(n, e, n.setMode(mode))
}

func sysFchmod(c *call) (int, syscall.Errno) {
	n, e := openedNode(c.arg[0])
	return change(n, e, n.setMode(uint32(c.arg[1])))
}

func sysChown(dirfd int, at ref, uid, gid uintptr, flags int) (int, syscall.Errno) {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	n, e := find(dirfd, at, flags&unix.AT_SYMLINK_NOFOLLOW == 0, flags)
	return change(n, e, n.setOwner(uint32(uid), uint32(gid)))
}

func sysFchown(c *call) (int, syscall.Errno) {
	n, e := openedNode(c.arg[0])
	return change(n, e, n.setOwner(uint32(c.arg[1]), uint32(c.arg[2])))
}

// openedNode is nodeOf for calls that an O_PATH descriptor is not good enough for.
func openedNode(fd uintptr) (*inode, syscall.Errno) {
	d, e := lookup(fd)
	if e != 0 {
		return nil, e
	}
	defer d.put()
	switch {
	case d.flags.Load()&unix.O_PATH != 0:
		return nil, syscall.EBADF
	case d.node == nil:
		return nil, syscall.EINVAL
	}
	return d.node, 0
}

func sysUtimensat(c *call) (int, syscall.Errno) {
	now := time.Now()
	times := [2]time.Time{now, now}
	keep := [2]bool{}
	if at := c.ptr(2); !at.isNil() {
		for i := range times {
			sec, e := at.add(uintptr(i) * 16).loadU64()
			if e != 0 {
				return 0, e
			}
			nsec, e := at.add(uintptr(i)*16 + 8).loadU64()
			switch {
			case e != 0:
				return 0, e
			case nsec == unix.UTIME_NOW:
			case nsec == unix.UTIME_OMIT:
				keep[i] = true
			case nsec > 999_999_999:
				return 0, syscall.EINVAL
			default:
				times[i] = time.Unix(int64(sec), int64(nsec))
			}
		}
	}
	n, e := utimeNode(c)
	if keep[0] && keep[1] {
		return 0, e
	}
	return change(n, e, func() {
		n.timeMu.Lock()
		defer n.timeMu.Unlock()
		if !keep[0] {
			n.atime = times[0]
		}
		if !keep[1] {
			n.mtime = times[1]
		}
	})
}

// utimeNode finds what utimensat changes: a path, or the file of the descriptor when there is no path.
func utimeNode(c *call) (*inode, syscall.Errno) {
	flags := c.int32Arg(3)
	if c.ptr(1).isNil() && c.int32Arg(0) != unix.AT_FDCWD {
		if flags != 0 {
			return nil, syscall.EINVAL
		}
		return openedNode(c.arg[0])
	}
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return nil, syscall.EINVAL
	}
	return find(c.int32Arg(0), c.ptr(1), flags&unix.AT_SYMLINK_NOFOLLOW == 0, flags)
}

// textFile is an open file whose text was made when it was opened.
type textFile string

func (t textFile) ReadAt(b []byte, off int64) (int, error) {
	return strings.NewReader(string(t)).ReadAt(b, off)
}

func (textFile) WriteAt([]byte, int64) (int, error) { return 0, syscall.EBADF }
func (t textFile) Size() int64                      { return int64(len(t)) }
func (textFile) Truncate(int64) error               { return syscall.EINVAL }
func (textFile) Sync() error                        { return nil }
func (textFile) Close() error                       { return nil }
