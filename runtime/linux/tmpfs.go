// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"io"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// tmpPage is the unit of file data in bytes; what is never written takes no page.
const tmpPage = 4096

// tmpMaxSize is the largest size of one file in bytes, written or not.
const tmpMaxSize = 1 << 40

// SetTmpLimit sets how many bytes of file data the root file system may hold.
func SetTmpLimit(bytes int64) { Store.SetLimit(bytes / tmpPage) }

func registerTmp() {
	tmp := newInode(&tmpFS, syscall.S_IFDIR|syscall.S_ISVTX|0o777)
	register("/tmp", tmp)
	RegisterLink("/var/tmp", "/tmp")
	RegisterLink("/dev/shm", "/tmp")
}

// pagesOf is how many pages size bytes take.
func pagesOf(size int64) int64 { return (size + tmpPage - 1) / tmpPage }

// tmpData is the content of a file in memory. Readers and writers of its pages hold mu; who takes pages away
// holds it for writing.
type tmpData struct {
	mu   sync.RWMutex
	file uint32 // number in Store; 0 until there is something in it. Guarded by mu
	size int64  // guarded by mu
	gone bool   // nobody can reach it any more; guarded by mu
}

func (t *tmpData) free() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != 0 {
		dropFile(t.file)
	}
	t.file, t.size, t.gone = 0, 0, true
	tellFiles()
}

// make gives the file its place in Store, if it has none. mu is held for writing.
func (t *tmpData) make() bool {
	if t.file == 0 && !t.gone {
		if t.file = newFile(t); t.file != 0 {
			Store.Resize(t.file, pagesOf(t.size))
		}
	}
	return t.file != 0
}

// resize sets the size. mu is held for writing.
func (t *tmpData) resize(size int64) {
	if pagesOf(size) != pagesOf(t.size) && t.file != 0 {
		Store.Resize(t.file, pagesOf(size))
	}
	t.size = size
}

// pageBatch is how many pages are looked up at once.
const pageBatch = 16

// batches are kept: an array that goes to Store would be a new one in the heap each time.
var batches = sync.Pool{New: func() any { return new([pageBatch]*Page) }}

// tmpFile is an open file of the root file system.
type tmpFile struct{ node *inode }

func (f *tmpFile) ReadAt(b []byte, off int64) (int, error) {
	t := f.node.data
	t.mu.RLock()
	defer t.mu.RUnlock()
	if off >= t.size {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), t.size-off)]
	pages := batches.Get().(*[pageBatch]*Page)
	defer batches.Put(pages)
	clear(pages[:])
	for n := 0; n < len(b); {
		at := off + int64(n)
		first := at / tmpPage
		some := pages[:min(pageBatch, pagesOf(off+int64(len(b)))-first)]
		if t.file != 0 {
			Store.Pages(t.file, first, false, some)
		}
		for _, p := range some {
			in := int(at % tmpPage)
			piece := b[n:min(len(b), n+tmpPage-in)]
			if p != nil {
				copy(piece, p[in:])
			} else {
				clear(piece)
			}
			n += len(piece)
			at += int64(len(piece))
		}
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
	if !t.make() {
		return 0, syscall.ENOSPC
	}
	n := 0
	pages := batches.Get().(*[pageBatch]*Page)
	defer batches.Put(pages)
	for n < len(b) {
		at := off + int64(n)
		first := at / tmpPage
		some := pages[:min(pageBatch, pagesOf(off+int64(len(b)))-first)]
		got := Store.Pages(t.file, first, true, some)
		for _, p := range some[:got] {
			k := copy(p[at%tmpPage:], b[n:])
			n += k
			at += int64(k)
		}
		if got < len(some) {
			break
		}
	}
	if n == 0 {
		return 0, syscall.ENOSPC
	}
	t.resize(max(t.size, off+int64(n)))
	f.node.touch(true)
	tellFiles()
	return n, nil
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
	if size < t.size {
		t.clearRange(size, pagesOf(size)*tmpPage) // what a later growth shows is zero
	}
	t.resize(size)
	f.node.touch(true)
	tellFiles()
	return nil
}

// clearRange zeroes the bytes [from, to), which lie in one page. mu is held for writing.
func (t *tmpData) clearRange(from, to int64) {
	if t.file == 0 || from >= to {
		return
	}
	var page [1]*Page
	if Store.Pages(t.file, from/tmpPage, false, page[:]); page[0] != nil {
		clear(page[0][from%tmpPage:][:to-from])
	}
}

// punch makes a hole of the bytes [from, to). The size stays.
func (f *tmpFile) punch(from, to int64) {
	t := f.node.data
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == 0 || from >= to {
		return
	}
	if from/tmpPage == to/tmpPage {
		t.clearRange(from, to)
	} else {
		t.clearRange(from, pagesOf(from)*tmpPage)
		Store.Punch(t.file, pagesOf(from), to/tmpPage)
		t.clearRange(to/tmpPage*tmpPage, to)
	}
	f.node.touch(true)
}

// seekData finds the first byte from off on that is in a page (or, with hole, in none). The end of the file
// counts as a hole. off is below the size.
func (f *tmpFile) seekData(off int64, hole bool) (int64, syscall.Errno) {
	t := f.node.data
	t.mu.RLock()
	defer t.mu.RUnlock()
	if !hole {
		next := int64(-1)
		if t.file != 0 {
			next = Store.Next(t.file, off/tmpPage)
		}
		if next < 0 || next*tmpPage >= t.size {
			return 0, syscall.ENXIO
		}
		return max(off, next*tmpPage), 0
	}
	var pages [pageBatch]*Page
	for i := off / tmpPage; i*tmpPage < t.size && t.file != 0; i += pageBatch {
		Store.Pages(t.file, i, false, pages[:])
		if k := slices.Index(pages[:], nil); k >= 0 {
			return min(max(off, (i+int64(k))*tmpPage), t.size), 0
		}
	}
	if t.file == 0 {
		return off, 0
	}
	return t.size, 0
}

// usage is the size in bytes, and the pages that are taken.
func (t *tmpData) usage() (size, pages int64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.file != 0 {
		pages = Store.Count(t.file)
	}
	return t.size, pages
}

func (f *tmpFile) Sync() error  { return nil }
func (f *tmpFile) Close() error { return nil } // description.put frees the data of a removed file

// createFile makes an empty file. tree.mu is held for writing.
func createFile(p place, mode uint32) (*inode, syscall.Errno) {
	if e := mayCreate(p); e != 0 {
		return nil, e
	}
	n := newInode(p.dir.fs, syscall.S_IFREG|mode&0o7777&^umask.Load())
	n.data = new(tmpData)
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
		n.data = new(tmpData)
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
	case n.nlink == 0 && !n.linkable:
		return 0, syscall.ENOENT
	}
	if e := mayCreate(p); e != 0 {
		return 0, e
	}
	n.nlink++
	n.linkable = false // the name was its only chance
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
