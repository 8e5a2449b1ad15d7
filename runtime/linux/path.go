// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links one path may lead through.
const maxLinks = 40

// place is where a path leads: a name in a directory.
type place struct {
	dir   *inode
	name  string // "" when the path ends in ".", ".." or is "/": node is then that directory
	node  *inode // nil when there is no such name
	slash bool   // the path ends in a slash, so that it can only mean a directory
	path  string // what a link of /proc/self/fd led to; else ""
}

// links says which symbolic links at a path's end are followed; those on the way are always.
type links int

const (
	noLinks    links = iota // none: the path names an entry of a directory
	slashLinks              // those with a slash behind them
	allLinks
)

// linksIf is allLinks or slashLinks: what a flag that says NOFOLLOW chooses between.
func linksIf(follow bool) links {
	if follow {
		return allLinks
	}
	return slashLinks
}

// argPath reads a path argument and finds the directory it begins in.
func argPath(dirfd int, at ref) (*inode, string, syscall.Errno) {
	path, e := at.pathString()
	if e != 0 {
		return nil, "", e
	}
	start, e := startDir(dirfd, path)
	return start, path, e
}

func startDir(dirfd int, path string) (*inode, syscall.Errno) {
	if strings.HasPrefix(path, "/") {
		return tree.root, 0
	}
	if dirfd == unix.AT_FDCWD {
		tree.mu.RLock()
		defer tree.mu.RUnlock()
		return tree.cwd, 0
	}
	if path == "" {
		return nil, syscall.ENOENT
	}
	d, e := lookup(uintptr(dirfd))
	if e != 0 {
		return nil, e
	}
	defer d.put()
	if d.node == nil || !d.node.isDir() {
		return nil, syscall.ENOTDIR
	}
	return d.node, 0
}

// walk follows a path from dir. tree.mu is held.
func walk(dir *inode, path string, follow links) (place, syscall.Errno) {
	if path == "" {
		return place{}, syscall.ENOENT
	}
	for met := 0; ; {
		path = strings.TrimLeft(path, "/")
		if path == "" {
			return place{dir: dir, node: dir, slash: true}, 0
		}
		name, tail, slash := strings.Cut(path, "/")
		last := strings.Trim(tail, "/") == ""
		next, e := step(dir, name)
		if e != 0 {
			return place{}, e
		}
		if next != nil && next.isLink() && (!last || slash && follow != noLinks || follow == allLinks) {
			if met++; met > maxLinks {
				return place{}, syscall.ELOOP
			}
			if d := next.opened(); d != nil && last {
				return place{dir: d.node, node: d.node, slash: slash, path: d.path}, notDir(d.node, slash)
			} else if d != nil {
				dir, path = d.node, tail
				continue
			}
			target := next.link()
			if strings.HasPrefix(target, "/") {
				dir = tree.root
			}
			if path = target; slash {
				path += "/" + tail
			}
			continue
		}
		switch {
		case !last && next == nil:
			return place{}, syscall.ENOENT
		case !last:
			dir = next
			path = tail
			continue
		case name == "." || name == "..":
			return place{dir: next, node: next, slash: true}, 0
		case slash && next != nil && !next.isDir() && follow != noLinks:
			return place{}, syscall.ENOTDIR
		}
		return place{dir: dir, name: name, node: next, slash: slash}, 0
	}
}

// opened is the file that a link of /proc/self/fd stands for; nil for other links, and for what has no
// inode or is the trap leaf's.
func (n *inode) opened() *description {
	if n.jump == nil {
		return nil
	}
	if d := n.jump(); d.node != nil && isDoorFile(d) {
		return d
	}
	return nil
}

// notDir is the errno of a path that ends in a slash, but not at a directory.
func notDir(n *inode, slash bool) syscall.Errno {
	if slash && !n.isDir() {
		return syscall.ENOTDIR
	}
	return 0
}

// step looks a name up in a directory; nil when there is no such name.
func step(dir *inode, name string) (*inode, syscall.Errno) {
	switch {
	case !dir.isDir():
		return nil, syscall.ENOTDIR
	case name == ".":
		return dir, 0
	case dir.parent == nil:
		return nil, syscall.ENOENT // removed
	case name == "..":
		return dir.parent, 0
	case len(name) > nameMax:
		return nil, syscall.ENAMETOOLONG
	}
	return dir.child(name), 0
}

// find is walk for a path argument that must lead somewhere. With AT_EMPTY_PATH in flags an empty path
// means dirfd itself. The name it returns is the path as given.
func find(dirfd int, at ref, follow bool, flags int) (*inode, syscall.Errno) {
	path, e := at.pathString()
	if e != 0 {
		return nil, e
	}
	if path == "" && flags&unix.AT_EMPTY_PATH != 0 {
		return nodeOf(dirfd)
	}
	start, e := startDir(dirfd, path)
	if e != 0 {
		return nil, e
	}
	tree.mu.RLock()
	defer tree.mu.RUnlock()
	p, e := walk(start, path, linksIf(follow))
	if e == 0 && p.node == nil {
		e = syscall.ENOENT
	}
	return p.node, e
}

// nodeOf is the inode of a descriptor; EBADF for sockets, which have none.
func nodeOf(fd int) (*inode, syscall.Errno) {
	if fd == unix.AT_FDCWD {
		tree.mu.RLock()
		defer tree.mu.RUnlock()
		return tree.cwd, 0
	}
	d, e := lookup(uintptr(fd))
	if e != 0 {
		return nil, e
	}
	defer d.put()
	if d.node == nil {
		return nil, syscall.EBADF
	}
	return d.node, 0
}

// absolute is the path by which place was reached, for /proc/self/fd. tree.mu is held.
func (p place) absolute() string {
	dir := p.dir.pathOf()
	switch {
	case p.path != "":
		return p.path
	case p.name == "":
		return dir
	case dir == "/":
		return "/" + p.name
	}
	return dir + "/" + p.name
}

// passingFlags are what openat needs only once, and F_GETFL does not return.
const passingFlags = syscall.O_CREAT | syscall.O_EXCL | syscall.O_NOCTTY | syscall.O_TRUNC | syscall.O_CLOEXEC

// tmpfileFlag is O_TMPFILE without the O_DIRECTORY it includes.
const tmpfileFlag = unix.O_TMPFILE &^ unix.O_DIRECTORY

func sysOpen(dirfd int, at ref, flags, mode uint32) (int, syscall.Errno) {
	if flags&unix.O_PATH != 0 {
		flags &= unix.O_PATH | syscall.O_DIRECTORY | syscall.O_NOFOLLOW | syscall.O_CLOEXEC
	}
	switch {
	case flags&tmpfileFlag != 0:
		return openTmpfile(dirfd, at, flags, mode)
	case flags&syscall.O_CREAT != 0 && flags&syscall.O_DIRECTORY != 0:
		return 0, syscall.EINVAL
	}
	start, path, e := argPath(dirfd, at)
	if e != 0 {
		return 0, e
	}
	node, name, e := openNode(start, path, flags, mode)
	if e != 0 {
		return 0, e
	}
	cloexec := flags&syscall.O_CLOEXEC != 0
	if node.cons && flags&unix.O_PATH == 0 {
		node.opens.Add(-1)
		return reserve(KindConsole, 0, cloexec, 0)
	}
	if node.pipe != nil && flags&unix.O_PATH == 0 {
		d, e := node.openPipe(flags)
		if e != 0 {
			return 0, e
		}
		d.path = name
		return installNew(d, cloexec)
	}
	d := &description{node: node, path: name}
	d.refs.Store(1)
	d.flags.Store(flags &^ passingFlags)
	if flags&unix.O_PATH == 0 {
		d.flags.Store(flags&^passingFlags | oLargefile)
		if d.file, e = openFile(node, flags); e != 0 {
			d.put()
			return 0, e
		}
	}
	return installNew(d, cloexec)
}

// openNode finds or makes the inode to open and counts it as open.
func openNode(start *inode, path string, flags, mode uint32) (*inode, string, syscall.Errno) {
	create := flags&syscall.O_CREAT != 0
	exclusive := create && flags&syscall.O_EXCL != 0
	if create {
		tree.mu.Lock()
		defer tree.mu.Unlock()
	} else {
		tree.mu.RLock()
		defer tree.mu.RUnlock()
	}
	follow := linksIf(flags&syscall.O_NOFOLLOW == 0 && !exclusive)
	if create && strings.HasSuffix(path, "/") {
		follow = noLinks // whatever is there, it is an error
	}
	p, e := walk(start, path, follow)
	switch {
	case e != 0:
		return nil, "", e
	case p.node == nil && !create:
		return nil, "", syscall.ENOENT
	case create && p.slash && (p.node == nil || follow == noLinks):
		return nil, "", syscall.EISDIR
	case p.node == nil:
		if p.node, e = createFile(p, mode); e != 0 {
			return nil, "", e
		}
	case exclusive:
		return nil, "", syscall.EEXIST
	default:
		if e := mayOpen(p.node, flags); e != 0 {
			return nil, "", e
		}
	}
	p.node.opens.Add(1)
	return p.node, p.absolute(), 0
}

// mayOpen says what is against opening an inode that exists.
func mayOpen(n *inode, flags uint32) syscall.Errno {
	if flags&unix.O_PATH != 0 {
		if flags&syscall.O_DIRECTORY != 0 && !n.isDir() {
			return syscall.ENOTDIR
		}
		return 0
	}
	write := flags&syscall.O_ACCMODE != syscall.O_RDONLY || flags&syscall.O_TRUNC != 0
	switch {
	case n.isLink() && flags&syscall.O_DIRECTORY != 0:
		return syscall.ENOTDIR
	case n.isLink():
		return syscall.ELOOP
	case n.isDir() && (write || flags&syscall.O_CREAT != 0):
		return syscall.EISDIR
	case !n.isDir() && flags&syscall.O_DIRECTORY != 0:
		return syscall.ENOTDIR
	case write && n.text != nil:
		return syscall.EROFS
	}
	return 0
}

// openFile makes the File behind an inode; nil for a directory.
func openFile(n *inode, flags uint32) (File, syscall.Errno) {
	switch {
	case n.text != nil:
		return textFile(n.text()), 0
	case n.data != nil:
		f := &tmpFile{n}
		if flags&syscall.O_TRUNC != 0 {
			f.Truncate(0)
		}
		return f, 0
	case n.open != nil:
		f, err := n.open()
		return f, errnoOf(err)
	case n.mode&syscall.S_IFMT == syscall.S_IFSOCK:
		return nil, syscall.ENXIO
	}
	return nil, 0
}

func sysAccess(dirfd int, at ref, mode, flags int) (int, syscall.Errno) {
	const known = unix.AT_EACCESS | unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH
	if mode&^7 != 0 || flags&^known != 0 {
		return 0, syscall.EINVAL
	}
	n, e := find(dirfd, at, flags&unix.AT_SYMLINK_NOFOLLOW == 0, flags)
	switch {
	case e != 0:
		return 0, e
	case mode&unix.W_OK != 0 && n.open == nil && !n.cons && !n.fs.writable:
		return 0, syscall.EROFS
	case mode&unix.X_OK != 0 && !n.isDir() && n.mode&0o111 == 0:
		return 0, syscall.EACCES // even for root
	}
	return 0, 0
}

func sysReadlink(dirfd int, at, buf ref, size int) (int, syscall.Errno) {
	if size <= 0 {
		return 0, syscall.EINVAL
	}
	n, e := find(dirfd, at, false, unix.AT_EMPTY_PATH)
	switch {
	case e != 0:
		return 0, e
	case !n.isLink():
		if path, _ := at.pathString(); path == "" {
			return 0, syscall.ENOENT
		}
		return 0, syscall.EINVAL
	}
	target := n.link()
	target = target[:min(len(target), size)]
	return len(target), buf.copyOut([]byte(target))
}

func sysGetcwd(c *call) (int, syscall.Errno) {
	tree.mu.RLock()
	path := tree.cwd.pathOf()
	tree.mu.RUnlock()
	switch {
	case path == "":
		return 0, syscall.ENOENT
	case c.arg[1] < uintptr(len(path)+1):
		return 0, syscall.ERANGE
	}
	return len(path) + 1, c.ptr(0).copyOut(append([]byte(path), 0))
}

func sysChdir(c *call) (int, syscall.Errno) {
	var n *inode
	var e syscall.Errno
	if c.nr == unix.SYS_FCHDIR {
		n, e = nodeOf(int(uint32(c.arg[0])))
	} else {
		n, e = find(unix.AT_FDCWD, c.ptr(0), true, 0)
	}
	switch {
	case e == syscall.EBADF && isStream(c.arg[0]):
		return 0, syscall.ENOTDIR
	case e != 0:
		return 0, e
	case !n.isDir():
		return 0, syscall.ENOTDIR
	}
	tree.mu.Lock()
	tree.cwd = n
	tree.mu.Unlock()
	return 0, 0
}

func isStream(fd uintptr) bool {
	d, e := lookup(fd)
	if e != 0 {
		return false
	}
	defer d.put()
	return d.stream != nil
}

// Layout of struct linux_dirent64: ino, cookie, record length, type, name, zero.
const direntHeader = 19

func sysGetdents(c *call) (int, syscall.Errno) {
	d, e := lookupFor(c.arg[0], false)
	if e != 0 {
		return 0, e
	}
	defer d.put()
	if d.node == nil || !d.node.isDir() {
		return 0, syscall.ENOTDIR
	}
	at := c.ptr(1)
	if c.int32Arg(2) < 0 {
		return 0, syscall.EINVAL
	}
	buf, e := at.out(min(c.int32Arg(2), 1<<20))
	if e != 0 {
		return 0, e
	}
	d.posMu.Lock()
	defer d.posMu.Unlock()
	entries, e := d.node.entries(d.pos)
	if e != 0 {
		return 0, e
	}
	n := 0
	for _, x := range entries {
		size := (direntHeader + len(x.name) + 1 + 7) &^ 7
		if n+size > len(buf) {
			if n == 0 {
				return 0, syscall.EINVAL
			}
			break
		}
		r := buf[n : n+size]
		clear(r)
		le.PutUint64(r, x.node.ino)
		le.PutUint64(r[8:], uint64(x.cookie))
		le.PutUint16(r[16:], uint16(size))
		r[18] = byte(x.node.mode >> 12 & 15) // DT_* are the type bits of the mode
		copy(r[direntHeader:], x.name)
		n += size
		d.pos = x.cookie
	}
	at.done(buf[:n])
	return n, 0
}
