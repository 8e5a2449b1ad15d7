// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"io"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// tmpPage is the unit of file data in bytes; what is never written takes no page.
const tmpPage = 4096

// tmpMaxSize is the largest size of one file in bytes, written or not.
const tmpMaxSize = 1 << 40

// defaultTmpLimit is how many bytes of data the root file system holds if boot does not say.
const defaultTmpLimit = 16 << 20

// SetTmpLimit sets how many bytes of file data the root file system may hold.
func SetTmpLimit(bytes int64) { tmpFS.limit.Store(bytes) }

func registerTmp() {
	tmpFS.limit.Store(defaultTmpLimit)
	tmp := newInode(&tmpFS, syscall.S_IFDIR|syscall.S_ISVTX|0o777)
	register("/tmp", tmp)
	RegisterLink("/var/tmp", "/tmp")
	RegisterLink("/dev/shm", "/tmp")
}

// tmpData is the content of a file in memory.
type tmpData struct {
	fs    *fileSystem
	mu    sync.RWMutex
	pages map[int64]*[tmpPage]byte // guarded by mu; absent pages are zero
	size  int64                    // guarded by mu
}

func (t *tmpData) free() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fs.used.Add(-int64(len(t.pages)) * tmpPage)
	clear(t.pages)
	t.size = 0
}

// page is the page with index i, made if need be; nil when the file system is full. mu is held.
func (t *tmpData) page(i int64) *[tmpPage]byte {
	if p := t.pages[i]; p != nil {
		return p
	}
	if t.fs.used.Add(tmpPage) > t.fs.limit.Load() {
		t.fs.used.Add(-tmpPage)
		return nil
	}
	p := new([tmpPage]byte)
	t.pages[i] = p
	return p
}

// tmpFile is an open file of /tmp.
type tmpFile struct{ node *inode }

func (f *tmpFile) ReadAt(b []byte, off int64) (int, error) {
	t := f.node.data
	t.mu.RLock()
	defer t.mu.RUnlock()
	if off >= t.size {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), t.size-off)]
	for n := 0; n < len(b); {
		at := off + int64(n)
		in := int(at % tmpPage)
		piece := b[n:min(len(b), n+tmpPage-in)]
		if p := t.pages[at/tmpPage]; p != nil {
			copy(piece, p[in:])
		} else {
			clear(piece)
		}
		n += len(piece)
	}
	return len(b), nil
}

func (f *tmpFile) WriteAt(b []byte, off int64) (int, error) {
	t := f.node.data
	t.mu.Lock()
	defer t.mu.Unlock()
	return f.writeLocked(b, off)
}

func (f *tmpFile) writeLocked(b []byte, off int64) (int, error) {
	t := f.node.data
	if off >= tmpMaxSize {
		return 0, syscall.EFBIG
	}
	b = b[:min(int64(len(b)), tmpMaxSize-off)]
	n := 0
	for n < len(b) {
		at := off + int64(n)
		p := t.page(at / tmpPage)
		if p == nil {
			break
		}
		n += copy(p[at%tmpPage:], b[n:])
	}
	if n > 0 {
		t.size = max(t.size, off+int64(n))
		f.node.touch(true)
		return n, nil
	}
	return 0, syscall.ENOSPC
}

// append writes at the end and returns where that is afterwards.
func (f *tmpFile) append(b []byte) (end int64, n int, e syscall.Errno) {
	t := f.node.data
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(b) == 0 {
		return t.size, 0, 0
	}
	n, err := f.writeLocked(b, t.size)
	return t.size, n, errnoOf(err)
}

func (f *tmpFile) Size() int64 {
	f.node.data.mu.RLock()
	defer f.node.data.mu.RUnlock()
	return f.node.data.size
}

func (f *tmpFile) Truncate(size int64) error {
	if size > tmpMaxSize {
		return syscall.EFBIG
	}
	t := f.node.data
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.pages {
		if i*tmpPage >= size {
			delete(t.pages, i)
			t.fs.used.Add(-tmpPage)
		}
	}
	if p := t.pages[size/tmpPage]; p != nil {
		clear(p[size%tmpPage:]) // what a later growth shows is zero
	}
	t.size = size
	f.node.touch(true)
	return nil
}

func (f *tmpFile) Sync() error  { return nil }
func (f *tmpFile) Close() error { return nil } // description.put frees the data of a removed file

// createFile makes an empty file. tree.mu is held for writing.
func createFile(p place, mode uint32) (*inode, syscall.Errno) {
	if e := mayCreate(p); e != 0 {
		return nil, e
	}
	n := newInode(p.dir.fs, syscall.S_IFREG|mode&0o7777&^umask.Load())
	n.data = &tmpData{fs: p.dir.fs, pages: make(map[int64]*[tmpPage]byte)}
	p.dir.add(p.name, n)
	return n, 0
}

// mayCreate says what is against a new name in a directory.
func mayCreate(p place) syscall.Errno {
	switch {
	case p.node != nil:
		return syscall.EEXIST
	case !p.dir.fs.writable:
		return syscall.EROFS
	case p.dir.parent == nil:
		return syscall.ENOENT
	}
	return 0
}

// create is the common way of the calls that make a name.
func create(dirfd int, at ref, dir bool, make func(p place) *inode) (int, syscall.Errno) {
	start, path, e := argPath(dirfd, at)
	if e != 0 {
		return 0, e
	}
	tree.mu.Lock()
	defer tree.mu.Unlock()
	p, e := walk(start, path, noLinks)
	switch {
	case e != 0:
		return 0, e
	case p.node == nil && p.slash && !dir:
		return 0, syscall.ENOENT
	}
	if e := mayCreate(p); e != 0 {
		return 0, e
	}
	p.dir.add(p.name, make(p))
	return 0, 0
}

func sysMkdir(dirfd int, at ref, mode uint32) (int, syscall.Errno) {
	return create(dirfd, at, true, func(p place) *inode {
		return newInode(p.dir.fs, syscall.S_IFDIR|mode&0o1777&^umask.Load())
	})
}

func sysMknod(dirfd int, at ref, mode uint32) (int, syscall.Errno) {
	kind := mode & syscall.S_IFMT
	switch kind {
	case syscall.S_IFREG, 0, syscall.S_IFIFO, syscall.S_IFSOCK:
	case syscall.S_IFDIR, syscall.S_IFCHR, syscall.S_IFBLK:
		return 0, syscall.EPERM // devices are registered
	default:
		return 0, syscall.EINVAL
	}
	return create(dirfd, at, false, func(p place) *inode {
		perm := mode & 0o7777 &^ umask.Load()
		switch kind {
		case syscall.S_IFIFO:
			return newPipe(p.dir.fs, perm)
		case syscall.S_IFSOCK:
			return newInode(p.dir.fs, syscall.S_IFSOCK|perm)
		}
		n := newInode(p.dir.fs, syscall.S_IFREG|perm)
		n.data = &tmpData{fs: p.dir.fs, pages: map[int64]*[tmpPage]byte{}}
		return n
	})
}

func sysSymlink(target ref, dirfd int, at ref) (int, syscall.Errno) {
	text, e := target.pathString()
	switch {
	case e != 0:
		return 0, e
	case text == "":
		return 0, syscall.ENOENT
	}
	return create(dirfd, at, false, func(p place) *inode {
		n := newInode(p.dir.fs, syscall.S_IFLNK|0o777)
		n.link = func() string { return text }
		return n
	})
}

func sysLink(oldDir int, oldAt ref, newDir int, newAt ref, flags int) (int, syscall.Errno) {
	if flags&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	n, e := find(oldDir, oldAt, flags&unix.AT_SYMLINK_FOLLOW != 0, flags)
	if e != 0 {
		return 0, e
	}
	start, path, e := argPath(newDir, newAt)
	if e != 0 {
		return 0, e
	}
	tree.mu.Lock()
	defer tree.mu.Unlock()
	p, e := walk(start, path, noLinks)
	switch {
	case e != 0:
		return 0, e
	case p.node != nil:
		return 0, syscall.EEXIST
	case p.slash:
		return 0, syscall.ENOENT
	case n.fs != p.dir.fs:
		return 0, syscall.EXDEV
	case n.isDir():
		return 0, syscall.EPERM
	case n.nlink == 0:
		return 0, syscall.ENOENT
	}
	if e := mayCreate(p); e != 0 {
		return 0, e
	}
	n.nlink++
	p.dir.add(p.name, n)
	return 0, 0
}

func sysUnlink(dirfd int, at ref, flags int) (int, syscall.Errno) {
	if flags&^unix.AT_REMOVEDIR != 0 {
		return 0, syscall.EINVAL
	}
	start, path, e := argPath(dirfd, at)
	if e != 0 {
		return 0, e
	}
	tree.mu.Lock()
	defer tree.mu.Unlock()
	p, e := walk(start, path, noLinks)
	if e == 0 {
		e = mayRemove(p, path, flags&unix.AT_REMOVEDIR != 0)
	}
	if e != 0 {
		return 0, e
	}
	p.dir.remove(p.name)
	p.node.drop()
	return 0, 0
}

// mayRemove says what is against removing a name.
func mayRemove(p place, path string, dir bool) syscall.Errno {
	switch {
	case p.name == "" && !dir:
		return syscall.EISDIR
	case p.name == "":
		return rmdirDots(path)
	case p.node == nil:
		return syscall.ENOENT
	case p.slash && !p.node.isDir():
		return syscall.ENOTDIR
	case p.dir.fs != p.node.fs:
		return syscall.EBUSY // where a file system is mounted
	case !p.dir.fs.writable:
		return syscall.EROFS
	case dir && !p.node.isDir():
		return syscall.ENOTDIR
	case !dir && p.node.isDir():
		return syscall.EISDIR
	case dir && len(p.node.kids) != 0:
		return syscall.ENOTEMPTY
	}
	return 0
}

// rmdirDots is the errno of rmdir for a path that ends in "..", "." or is the root.
func rmdirDots(path string) syscall.Errno {
	for len(path) > 1 && path[len(path)-1] == '/' {
		path = path[:len(path)-1]
	}
	switch {
	case path == "/":
		return syscall.EBUSY
	case len(path) >= 2 && path[len(path)-2:] == "..":
		return syscall.ENOTEMPTY
	}
	return syscall.EINVAL
}

func sysRename(oldDir int, oldAt ref, newDir int, newAt ref, flags uint32) (int, syscall.Errno) {
	if flags&^unix.RENAME_NOREPLACE != 0 {
		return 0, syscall.EINVAL
	}
	oldStart, oldPath, e := argPath(oldDir, oldAt)
	if e != 0 {
		return 0, e
	}
	newStart, newPath, e := argPath(newDir, newAt)
	if e != 0 {
		return 0, e
	}
	tree.mu.Lock()
	defer tree.mu.Unlock()
	from, e := walk(oldStart, oldPath, noLinks)
	if e != 0 {
		return 0, e
	}
	to, e := walk(newStart, newPath, noLinks)
	if e == 0 {
		e = mayRename(from, to, flags)
	}
	if e != 0 || from.node == to.node {
		return 0, e
	}
	if to.node != nil {
		to.dir.remove(to.name)
		to.node.drop()
	}
	from.dir.remove(from.name)
	to.dir.add(to.name, from.node)
	return 0, 0
}

// mayRename says what is against a rename, in the order Linux looks.
func mayRename(from, to place, flags uint32) syscall.Errno {
	switch {
	case from.dir.fs != to.dir.fs:
		return syscall.EXDEV
	case from.name == "" || to.name == "":
		return syscall.EBUSY
	case !from.dir.fs.writable:
		return syscall.EROFS
	case from.node == nil:
		return syscall.ENOENT
	case from.node.fs != from.dir.fs || to.node != nil && to.node.fs != to.dir.fs:
		return syscall.EBUSY // where a file system is mounted
	case to.node != nil && flags&unix.RENAME_NOREPLACE != 0:
		return syscall.EEXIST
	case !from.node.isDir() && (from.slash || to.slash):
		return syscall.ENOTDIR
	case to.dir.parent == nil:
		return syscall.ENOENT
	case from.node.isDir() && inside(to.dir, from.node):
		return syscall.EINVAL
	case to.node == nil || to.node == from.node:
		return 0
	case inside(from.dir, to.node):
		return syscall.ENOTEMPTY
	case from.node.isDir() && !to.node.isDir():
		return syscall.ENOTDIR
	case !from.node.isDir() && to.node.isDir():
		return syscall.EISDIR
	case to.node.isDir() && len(to.node.kids) != 0:
		return syscall.ENOTEMPTY
	}
	return 0
}

// inside says whether dir is n or below it.
func inside(dir, n *inode) bool {
	for ; dir != nil && dir != tree.root; dir = dir.parent {
		if dir == n {
			return true
		}
	}
	return false
}

func sysTruncate(c *call) (int, syscall.Errno) {
	size := int64(c.arg[1])
	if size < 0 {
		return 0, syscall.EINVAL
	}
	n, e := find(unix.AT_FDCWD, c.ptr(0), true, 0)
	switch {
	case e != 0:
		return 0, e
	case n.isDir():
		return 0, syscall.EISDIR
	case n.mode&syscall.S_IFMT != syscall.S_IFREG:
		return 0, syscall.EINVAL
	case n.data == nil:
		return 0, syscall.EROFS
	}
	return 0, errnoOf((&tmpFile{n}).Truncate(size))
}
