// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The file tree is one tree of inodes in memory. Three file systems share it: the root, which the program
// may fill up to a limit, and /proc and /sys, which only the Register functions change.

// fsAt is the file system of an absolute path.
func fsAt(path string) *fileSystem {
	switch {
	case path == "/proc" || strings.HasPrefix(path, "/proc/"):
		return &procFS
	case path == "/sys" || strings.HasPrefix(path, "/sys/"):
		return &sysFS
	}
	return &tmpFS
}

// fileSystem is what the inodes of one file system have in common.
type fileSystem struct {
	dev      uint64 // st_dev
	magic    int64  // f_type of statfs
	writable bool
}

var (
	tmpFS  = fileSystem{dev: 1, magic: unix.TMPFS_MAGIC, writable: true}
	procFS = fileSystem{dev: 5, magic: unix.PROC_SUPER_MAGIC}
	sysFS  = fileSystem{dev: 6, magic: unix.SYSFS_MAGIC}
	pipeFS = fileSystem{dev: 3, magic: unix.PIPEFS_MAGIC, writable: true} // pipes without a name
)

// inode is a file, directory, symbolic link or device.
type inode struct {
	fs   *fileSystem
	ino  uint64
	rdev uint64

	// One of these says what it holds; a device has open, a directory has neither.
	text func() string            // generated when opened
	data *tmpData                 // a file of /tmp
	open func() (File, error)     // a device
	link func() string            // a symbolic link's target
	list func() map[string]*inode // a directory that is generated

	// lookup finds a name in a directory before its list or kids do; nil for those that it does not know.
	lookup func(name string) *inode

	pipe *pipe               // a pipe, named or not
	jump func() *description // a link of /proc/self/fd, which leads to the file itself; nil result: as the text says
	cons bool                // opens as a descriptor of the console

	opens atomic.Int32               // descriptions that hold it
	sock  atomic.Pointer[unixSocket] // bound to this name

	timeMu              sync.Mutex // innermost of all
	atime, mtime, ctime time.Time  // guarded by timeMu

	// Guarded by tree.mu, but for the file type in mode, which never changes.
	mode     uint32 // type and permissions
	uid, gid uint32
	nlink    uint32
	linkable bool             // has no name yet, but may get one
	kids     map[string]entry // a directory's
	cookie   int64            // of the entry added last
	parent   *inode           // of a directory; itself at the root; nil once removed
	name     string           // of a directory
}

// entry is a name in a directory. Cookies grow, so that reading a directory in pieces stays right while
// others add and remove names.
type entry struct {
	node   *inode
	cookie int64
}

var tree struct {
	mu   sync.RWMutex
	root *inode
	cwd  *inode
}

var (
	lastIno atomic.Uint64
	umask   atomic.Uint32
)

func nextIno() uint64 { return lastIno.Add(1) }

func newInode(fs *fileSystem, mode uint32) *inode {
	now := time.Now()
	n := &inode{fs: fs, ino: nextIno(), mode: mode, nlink: 1, atime: now, mtime: now, ctime: now}
	if n.isDir() {
		n.kids = make(map[string]entry)
		n.nlink = 2
	}
	return n
}

func (n *inode) isDir() bool   { return n.mode&syscall.S_IFMT == syscall.S_IFDIR }
func (n *inode) isLink() bool  { return n.mode&syscall.S_IFMT == syscall.S_IFLNK }
func (n *inode) isBlock() bool { return n.mode&syscall.S_IFMT == syscall.S_IFBLK }

// touch sets the time of the last change, and with content that of the last write.
func (n *inode) touch(content bool) {
	n.timeMu.Lock()
	defer n.timeMu.Unlock()
	n.ctime = time.Now()
	if content {
		n.mtime = n.ctime
	}
}

// child finds a name in a directory; nil when there is none. tree.mu is held.
func (n *inode) child(name string) *inode {
	if n.lookup != nil {
		if k := n.lookup(name); k != nil {
			return k
		}
	}
	if n.list != nil {
		return n.list()[name]
	}
	return n.kids[name].node
}

// add puts a name into a directory, replacing what it stood for. tree.mu is held for writing.
func (n *inode) add(name string, k *inode) {
	n.cookie++
	n.kids[name] = entry{k, n.cookie}
	n.touch(true)
	if k.isDir() {
		k.parent, k.name = n, name
		n.nlink++
	}
}

// remove takes a name out of a directory. tree.mu is held for writing.
func (n *inode) remove(name string) {
	k := n.kids[name].node
	delete(n.kids, name)
	n.touch(true)
	if k.isDir() {
		k.parent = nil
		n.nlink--
	}
}

// drop counts one name less of a node and frees its data with the last. tree.mu is held for writing.
func (n *inode) drop() {
	if n.isDir() {
		n.nlink = 0
		return
	}
	n.nlink--
	n.touch(false)
	n.freeIfGone()
}

// freeIfGone gives back the data of a file without a name and without a descriptor. tree.mu is held.
func (n *inode) freeIfGone() {
	if n.nlink == 0 && n.opens.Load() == 0 && n.data != nil {
		n.data.free()
	}
}

// dirEntry is what getdents tells of a name.
type dirEntry struct {
	name   string
	node   *inode
	cookie int64
}

// entries lists a directory from after a cookie on, in the order of cookies: 1 is ".", 2 is "..". ENOENT
// when the directory was removed.
func (n *inode) entries(after int64) ([]dirEntry, syscall.Errno) {
	tree.mu.RLock()
	defer tree.mu.RUnlock()
	if n.parent == nil {
		return nil, syscall.ENOENT
	}
	es := []dirEntry{{".", n, 1}, {"..", n.parent, 2}}
	if n.list != nil {
		kids := n.list()
		names := make([]string, 0, len(kids))
		for name := range kids {
			names = append(names, name)
		}
		slices.Sort(names)
		for i, name := range names {
			es = append(es, dirEntry{name, kids[name], int64(i + 3)})
		}
	}
	for name, e := range n.kids {
		es = append(es, dirEntry{name, e.node, e.cookie + 2})
	}
	slices.SortFunc(es, func(a, b dirEntry) int { return cmp.Compare(a.cookie, b.cookie) })
	i, _ := slices.BinarySearchFunc(es, after+1, func(e dirEntry, c int64) int { return cmp.Compare(e.cookie, c) })
	return es[i:], 0
}

// pathOf is the absolute path of a directory; "" when it was removed. tree.mu is held.
func (n *inode) pathOf() string {
	var names []string
	for ; n != tree.root; n = n.parent {
		if n == nil {
			return ""
		}
		names = append(names, n.name)
	}
	slices.Reverse(names)
	return "/" + strings.Join(names, "/")
}

// register puts a node at an absolute path of the root file system and makes the directories on the way.
// It replaces an earlier node, but no directory.
func register(path string, n *inode) {
	if rest, ok := strings.CutPrefix(path, "/proc/self/"); ok {
		path = "/proc/1/" + rest
	}
	tree.mu.Lock()
	defer tree.mu.Unlock()
	dir := tree.root
	names := strings.Split(strings.Trim(path, "/"), "/")
	for _, name := range names[:len(names)-1] {
		next := dir.child(name)
		if next == nil {
			next = newInode(fsAt(path), syscall.S_IFDIR|0o755)
			dir.add(name, next)
		}
		if !next.isDir() || next.list != nil {
			panic("linux: cannot register " + path + ": " + name + " is no directory to add to")
		}
		dir = next
	}
	name := names[len(names)-1]
	if old := dir.child(name); old != nil && old.isDir() {
		panic("linux: cannot register " + path + ": it is a directory")
	}
	n.fs = fsAt(path)
	dir.add(name, n)
}

// RegisterText puts a read-only file at path, whose text is made each time it is opened. Directories on
// the way are made. A file registered earlier is replaced.
func RegisterText(path string, text func() string) {
	mode := uint32(syscall.S_IFREG | 0o644)
	if isGenerated(path) {
		mode = syscall.S_IFREG | 0o444
	}
	n := newInode(&tmpFS, mode)
	n.text = text
	register(path, n)
}

// isGenerated says whether a path is in a tree whose files have no size until they are read.
func isGenerated(path string) bool {
	return fsAt(path) != &tmpFS
}

// RegisterLink puts a symbolic link at path.
func RegisterLink(path, target string) {
	n := newInode(&tmpFS, syscall.S_IFLNK|0o777)
	n.link = func() string { return target }
	register(path, n)
}

// RegisterDir makes an empty directory at path and those on the way, if they are not there.
func RegisterDir(path string) {
	tree.mu.Lock()
	defer tree.mu.Unlock()
	dir := tree.root
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		next := dir.child(name)
		if next == nil {
			next = newInode(fsAt(path), syscall.S_IFDIR|0o755)
			dir.add(name, next)
		}
		dir = next
	}
}

func init() {
	tree.root = newInode(&tmpFS, syscall.S_IFDIR|0o755)
	tree.root.parent = tree.root
	tree.cwd = tree.root
	umask.Store(0o022)
	registerTmp()
	registerDevices()
	registerProc()
	registerEtc()
}
