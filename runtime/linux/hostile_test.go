// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"fmt"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hostileCall is a call that is right as it stands; the kinds of its arguments say what is wrong to put there.
type hostileCall struct {
	nr    uintptr
	kinds string // one letter for each argument behind the descriptor
	args  func() []any
}

// hostile are the wrong values of each kind: pointer, length of an address or an option, size of a buffer,
// count of an array, level and name of an option, flags, number.
func hostile(kind byte) []any {
	switch kind {
	case 'p':
		return []any{0, 8, badPage, 1 << 47, uintptr(1) << 63, -1, -4096}
	case 'l':
		return []any{0, 1, 2, 3, 15, -1, 1 << 31, 1<<32 + 4, uintptr(1) << 63}
	case 's':
		return []any{0, 1, 15}
	case 'c':
		return []any{0, 1, hostileMax, hostileMax + 1, -1, 1 << 31, 1<<32 + 2, uintptr(1) << 63}
	case 'v':
		return []any{-1, 5, 999, 1 << 31}
	case 'o':
		return []any{-1, 999, 1 << 31}
	case 'f':
		const unserved = unix.MSG_OOB | unix.MSG_FASTOPEN
		return []any{^unserved, 1 << 8, unix.MSG_ERRQUEUE, unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL, 1 << 31}
	}
	return []any{0, 1, 5, -1, 1 << 31, 999}
}

// hostileMax is the longest array that Linux reads.
const hostileMax = 1024

// hostileMemory is what pointers lead to: as long as the longest array, so that Linux finds nothing there
// that is somebody else's.
type hostileMemory struct {
	hdr  [hostileMax][mmsghdrSize]byte
	iov  [hostileMax]unix.Iovec
	data [256]byte
	size [4]byte
}

// theMemory is in the heap, for addresses in it are kept as numbers.
var theMemory = new(hostileMemory)

func hostileArgs() *hostileMemory {
	m := theMemory
	*m = hostileMemory{size: [4]byte{16}}
	m.iov[0] = unix.Iovec{Base: &m.data[0], Len: 16}
	for i := range 2 {
		*(*unix.Msghdr)(unsafe.Pointer(&m.hdr[i])) = unix.Msghdr{Iov: &m.iov[0], Iovlen: 1}
	}
	return m
}

var hostileCalls = []hostileCall{
	{unix.SYS_GETSOCKNAME, "pp", func() []any { m := hostileArgs(); return []any{m.data[:], m.size[:]} }},
	{unix.SYS_GETPEERNAME, "pp", func() []any { m := hostileArgs(); return []any{m.data[:], m.size[:]} }},
	{unix.SYS_SETSOCKOPT, "vopl", func() []any { return []any{unix.SOL_SOCKET, unix.SO_BROADCAST, hostileArgs().data[:], 4} }},
	{unix.SYS_GETSOCKOPT, "vopp", func() []any { m := hostileArgs(); return []any{unix.SOL_SOCKET, unix.SO_TYPE, m.data[:], m.size[:]} }},
	{unix.SYS_SENDTO, "psfpl", func() []any { return []any{hostileArgs().data[:], 16, unix.MSG_NOSIGNAL, 0, 0} }},
	{unix.SYS_RECVFROM, "psfpp", func() []any { m := hostileArgs(); return []any{m.data[:], 16, 0, m.data[32:], m.size[:]} }},
	{unix.SYS_SENDMSG, "pf", func() []any { return []any{hostileArgs().hdr[0][:], unix.MSG_NOSIGNAL} }},
	{unix.SYS_RECVMSG, "pf", func() []any { return []any{hostileArgs().hdr[0][:], 0} }},
	{unix.SYS_SENDMMSG, "pcf", func() []any { return []any{hostileArgs().hdr[0][:], 2, unix.MSG_NOSIGNAL} }},
	{unix.SYS_RECVMMSG, "pcfp", func() []any { return []any{hostileArgs().hdr[0][:], 2, 0, 0} }},
	{unix.SYS_ACCEPT4, "ppf", func() []any { m := hostileArgs(); return []any{m.data[:], m.size[:], unix.SOCK_NONBLOCK} }},
	{unix.SYS_BIND, "pl", func() []any { return []any{hostileArgs().data[:], 16} }},
	{unix.SYS_CONNECT, "pl", func() []any { m := hostileArgs(); copy(m.data[:], sockaddrOf(9)); return []any{m.data[:], 16} }},
	{unix.SYS_LISTEN, "n", func() []any { return []any{4} }},
	{unix.SYS_SHUTDOWN, "n", func() []any { return []any{unix.SHUT_WR} }},
	{unix.SYS_READ, "ps", func() []any { return []any{hostileArgs().data[:], 16} }},
	{unix.SYS_WRITE, "ps", func() []any { return []any{hostileArgs().data[:], 16} }},
	{unix.SYS_READV, "pc", func() []any { return []any{unsafe.Pointer(&hostileArgs().iov), 1} }},
	{unix.SYS_WRITEV, "pc", func() []any { return []any{unsafe.Pointer(&hostileArgs().iov), 1} }},
}

// hostilePair is a pair with data to read.
func (k *kernel) hostilePair(typ int) int {
	a, b := k.un2(typ | unix.SOCK_NONBLOCK)
	k.send("to read", b, "sixteen bytes...")
	k.send("to read", b, "sixteen bytes...")
	return a
}

// TestConformHostile makes each call of sockets on each kind of descriptor, with one argument at a time
// wrong, and compares the errno with Linux's. When the call fails with the right arguments too, there are two
// errors, and only that there is one is compared: which comes first is nobody's promise.
func TestConformHostile(t *testing.T) {
	const nonblock = unix.SOCK_NONBLOCK
	for name, open := range map[string]func(k *kernel) int{
		"unix stream":    func(k *kernel) int { return k.hostilePair(unix.SOCK_STREAM) },
		"unix datagram":  func(k *kernel) int { return k.hostilePair(unix.SOCK_DGRAM) },
		"unix seqpacket": func(k *kernel) int { return k.hostilePair(unix.SOCK_SEQPACKET) },
		"unix new":       func(k *kernel) int { return k.un(unix.SOCK_STREAM | nonblock) },
		"unix listener": func(k *kernel) int {
			l := k.un(unix.SOCK_STREAM | nonblock)
			k.at("bind", unix.SYS_BIND, l, sockaddrUn(k.path("l")))
			k.do("listen", unix.SYS_LISTEN, l, 3)
			return l
		},
		"netlink": func(k *kernel) int { return k.netlink() },
		"tcp":     func(k *kernel) int { a, _ := k.pair(nonblock); return a },
		"udp":     func(k *kernel) int { return k.socket(unix.AF_INET, unix.SOCK_DGRAM|nonblock) },
		"pipe":    func(k *kernel) int { r, _ := k.pipe(unix.O_NONBLOCK); return r },
		"file": func(k *kernel) int {
			f := k.open("f", unix.O_RDWR|unix.O_CREAT)
			k.do("write", unix.SYS_WRITE, f, []byte("sixteen bytes..."), 16)
			k.do("lseek", unix.SYS_LSEEK, f, 0, 0)
			return f
		},
		"path":   func(k *kernel) int { return k.open("/", unix.O_PATH) },
		"none":   func(*kernel) int { return -1 },
		"closed": func(*kernel) int { return 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			conformOnStack(t, func(k *kernel) {
				for _, c := range hostileCalls {
					k.hostile(name, c, open)
				}
			})
		})
	}
}

// hostile makes one call with its right arguments, and then with each wrong one.
func (k *kernel) hostile(name string, c hostileCall, open func(k *kernel) int) {
	k.t.Helper()
	make := func(what string, change func(args []any)) syscall.Errno {
		fd := open(k)
		args := append([]any{fd}, c.args()...)
		change(args)
		log := len(k.log)
		r, e := k.call(c.nr, args...)
		k.log = k.log[:log]
		k.result(fmt.Sprint(name, " ", CallName[c.nr], what), r, e)
		k.call(unix.SYS_UNLINKAT, unix.AT_FDCWD, k.path("l"), 0)
		k.call(unix.SYS_CLOSE, fd)
		return e
	}
	base := make("", func([]any) {})
	for i := range c.kinds {
		for _, wrong := range hostile(c.kinds[i]) {
			e := make(fmt.Sprintf(", argument %d is %#x", 2+i, wrong), func(args []any) { args[1+i] = wrong })
			if base != 0 && e != 0 {
				k.log[len(k.log)-1] = fmt.Sprintf("%s %s, argument %d is %#x: refused", name, CallName[c.nr], 2+i, wrong)
			}
		}
	}
}

// Memory that goes away after it was looked at is EFAULT, and the locks are free: the file and the pipe
// go on.
func TestMemoryGoesAway(t *testing.T) {
	k := &kernel{t: t, name: "door", raw: Door, dir: "/tmp"}
	b, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(b)
	gone := uintptr(unsafe.Pointer(&b[0]))
	defer func(v func(uintptr, uintptr, bool) bool) { Valid = v }(Valid)
	was := Valid
	Valid = func(addr, n uintptr, write bool) bool { return addr == gone || was(addr, n, write) }
	f := k.open("gone", unix.O_RDWR|unix.O_CREAT)
	r, w := k.pipe(unix.O_NONBLOCK)
	data := []byte("sixteen bytes...")
	for range 2 {
		for _, fd := range []int{f, w} {
			if _, e := k.call(unix.SYS_WRITE, fd, gone, 16); e != syscall.EFAULT {
				t.Errorf("write: %v, want EFAULT", e)
			}
			if n, e := k.call(unix.SYS_WRITE, fd, data, 16); n != 16 || e != 0 {
				t.Errorf("write behind = %d, %v", n, e)
			}
		}
		k.call(unix.SYS_LSEEK, f, 0, 0)
		for _, fd := range []int{f, r} {
			if _, e := k.call(unix.SYS_READ, fd, gone, 16); e != syscall.EFAULT {
				t.Errorf("read: %v, want EFAULT", e)
			}
			if n, e := k.call(unix.SYS_READ, fd, data, 16); n != 16 || e != 0 {
				t.Errorf("read behind = %d, %v", n, e)
			}
		}
	}
}
