// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// struct sockaddr_un: family, and a path with a zero behind it, or a zero and then any bytes (an abstract
// name), or nothing (unbound, and to bind: any free abstract name).
const (
	sockaddrUnMin = 2   // the family alone
	sockaddrUnMax = 110 // with all 108 bytes of the path
)

// autobindNames is how many names of five hexadecimal digits there are.
const autobindNames = 1 << 20

// unixNames are the abstract names.
var unixNames struct {
	mu   sync.Mutex
	byID map[string]*unixSocket // guarded by mu
	next uint32                 // of the names that are given; guarded by mu
}

// validUnix says whether the address names a Unix socket.
func (a *sockaddr) validUnix() syscall.Errno {
	if a.length <= sockaddrUnMin || a.length > sockaddrUnMax || a.family != syscall.AF_UNIX {
		return syscall.EINVAL
	}
	return 0
}

// unixPath is the path in the address; false for an abstract name.
func (a *sockaddr) unixPath() (string, bool) {
	path := a.raw[sockaddrUnMin:a.length]
	if path[0] == 0 {
		return "", false
	}
	if i := bytes.IndexByte(path, 0); i >= 0 {
		path = path[:i]
	}
	return string(path), true
}

// findUnix finds the socket that an address names, which must be of the type.
func findUnix(a *sockaddr, typ int) (*unixSocket, syscall.Errno) {
	if e := a.validUnix(); e != 0 {
		return nil, e
	}
	var u *unixSocket
	if path, ok := a.unixPath(); ok {
		n, e := findPath(path)
		if e != 0 {
			return nil, e
		}
		u = n.sock.Load()
	} else {
		unixNames.mu.Lock()
		u = unixNames.byID[string(a.raw[:a.length])]
		unixNames.mu.Unlock()
	}
	switch {
	case u == nil:
		return nil, syscall.ECONNREFUSED
	case u.typ != typ:
		return nil, syscall.EPROTOTYPE
	}
	return u, 0
}

// findPath finds the inode at a path.
func findPath(path string) (*inode, syscall.Errno) {
	start, e := startDir(unix.AT_FDCWD, path)
	if e != 0 {
		return nil, e
	}
	tree.mu.RLock()
	defer tree.mu.RUnlock()
	p, e := walk(start, path, allLinks)
	if e == 0 && p.node == nil {
		e = syscall.ENOENT
	}
	return p.node, e
}

func (u *unixSocket) bind(a *sockaddr) error {
	if a.length == sockaddrUnMin && a.family == syscall.AF_UNIX {
		return u.autobind()
	}
	if e := a.validUnix(); e != 0 {
		return e
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if path, ok := a.unixPath(); ok {
		return u.bindPath(path)
	}
	if u.local.Load() != nil {
		return syscall.EINVAL
	}
	return u.bindName(string(a.raw[:a.length]))
}

// bindPath makes a name in the file system. mu is held.
func (u *unixSocket) bindPath(path string) error {
	start, e := startDir(unix.AT_FDCWD, path)
	if e != 0 {
		return e
	}
	tree.mu.Lock()
	defer tree.mu.Unlock()
	p, e := walk(start, path, noLinks)
	if e == 0 && p.node == nil && p.slash {
		e = syscall.ENOENT
	}
	if e == 0 {
		e = mayCreate(p)
	}
	switch {
	case e == syscall.EEXIST:
		return syscall.EADDRINUSE
	case e != 0:
		return e
	case u.local.Load() != nil:
		return syscall.EINVAL
	}
	n := newInode(p.dir.fs, syscall.S_IFSOCK|0o777&^umask.Load())
	n.sock.Store(u)
	p.dir.add(p.name, n)
	u.node = n
	name := string([]byte{syscall.AF_UNIX, 0}) + path + "\x00"
	u.local.Store(&name)
	return nil
}

// bindName takes an abstract name. mu is held.
func (u *unixSocket) bindName(name string) error {
	unixNames.mu.Lock()
	defer unixNames.mu.Unlock()
	if unixNames.byID == nil {
		unixNames.byID = make(map[string]*unixSocket)
	}
	if unixNames.byID[name] != nil {
		return syscall.EADDRINUSE
	}
	unixNames.byID[name] = u
	u.local.Store(&name)
	return nil
}

// autobind takes any free abstract name of five hexadecimal digits, unless the socket has a name.
func (u *unixSocket) autobind() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for range autobindNames {
		if u.local.Load() != nil {
			return nil
		}
		unixNames.mu.Lock()
		unixNames.next = (unixNames.next + 1) % autobindNames
		name := fmt.Sprintf("\x01\x00\x00%05x", unixNames.next)
		unixNames.mu.Unlock()
		if err := u.bindName(name); err != syscall.EADDRINUSE {
			return err
		}
	}
	return syscall.ENOSPC
}

// autobindForCred is what SO_PASSCRED demands of a socket that begins to talk.
func (u *unixSocket) autobindForCred() error {
	if u.local.Load() == nil && u.passCred.Load() {
		return u.autobind()
	}
	return nil
}

// unbind gives the name back. A path stays, as on Linux, and leads nowhere. mu is held.
func (u *unixSocket) unbind() {
	if u.node != nil {
		u.node.sock.Store(nil)
	}
	unixNames.mu.Lock()
	defer unixNames.mu.Unlock()
	if name := u.name(); unixNames.byID[name] == u {
		delete(unixNames.byID, name)
	}
}

// name is the socket's address as a sockaddr; "" when it has none.
func (u *unixSocket) name() string {
	if p := u.local.Load(); p != nil {
		return *p
	}
	return ""
}

// localAddr is the name for getsockname and its kin, to which an unbound socket has a family only.
func (u *unixSocket) localAddr() address {
	if name := u.name(); name != "" {
		return address{raw: name}
	}
	return address{raw: "\x01\x00"}
}
