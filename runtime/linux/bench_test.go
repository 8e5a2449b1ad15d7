// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"net/netip"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readySocket always has something to read and room to write.
type readySocket struct{ Socket }

func (readySocket) Send(p []byte, _ netip.AddrPort) (int, error) { return len(p), nil }
func (readySocket) Recv(p []byte, _ bool) (int, netip.AddrPort, bool, error) {
	p[0]++
	return len(p), netip.AddrPort{}, false, nil
}
func (readySocket) Ready() uint32       { return unix.EPOLLIN | unix.EPOLLOUT }
func (readySocket) Notify(func(uint32)) {}
func (readySocket) Close() error        { return nil }

// inHeap keeps memory out of the test's stack, which would move away under an address kept as a number.
var inHeap []byte

func readySocketFD(tb testing.TB) uintptr {
	d := newStream(newSocket(&inet{readySocket{}, unix.AF_INET, unix.SOCK_STREAM}, unix.AF_INET, unix.SOCK_STREAM, 0), syscall.O_RDWR|syscall.O_NONBLOCK)
	fd, e := installNew(d, true)
	if e != 0 {
		tb.Fatal(e)
	}
	tb.Cleanup(func() { closeFD(fd) })
	return uintptr(fd)
}

// Reading and writing a socket with memory in the heap makes no garbage.
func TestSocketHotPathDoesNotAllocate(t *testing.T) {
	fd := readySocketFD(t)
	b := make([]byte, 4096)
	inHeap = b
	for _, nr := range []uintptr{unix.SYS_READ, unix.SYS_WRITE, unix.SYS_RECVFROM, unix.SYS_SENDTO} {
		a := [6]uintptr{fd, uintptr(unsafe.Pointer(&b[0])), 4096}
		if n := testing.AllocsPerRun(100, func() { Door(nr, &a) }); n != 0 {
			t.Errorf("%s allocates %v times", CallName[nr], n)
		}
	}
	if b[0] == 0 {
		t.Error("the socket did not fill the caller's own memory")
	}
}

// A byte to and fro through Unix sockets makes no garbage, but for a page once in a thousand times.
func TestUnixHotPathDoesNotAllocate(t *testing.T) {
	a, b := unixPairFDs(t)
	buf := make([]byte, 1)
	inHeap = buf
	send, recv := [6]uintptr{a, uintptr(unsafe.Pointer(&buf[0])), 1}, [6]uintptr{b, uintptr(unsafe.Pointer(&buf[0])), 1}
	n := testing.AllocsPerRun(1000, func() {
		Door(unix.SYS_WRITE, &send)
		if Door(unix.SYS_READ, &recv) != 1 {
			t.Error("the byte did not come")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	closeFD(int(a))
	closeFD(int(b))
}

// BenchmarkUnixByte is a byte through a Unix socket; BenchmarkUnixByteLinux the same on Linux.
func BenchmarkUnixByte(b *testing.B) {
	x, y := unixPairFDs(b)
	benchmarkByte(b, func(nr uintptr, a *[6]uintptr) uintptr { return Door(nr, a) }, x, y)
	closeFD(int(x))
	closeFD(int(y))
}

func BenchmarkUnixByteLinux(b *testing.B) {
	fds, err := syscall.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkByte(b, onHost, uintptr(fds[0]), uintptr(fds[1]))
	syscall.Close(fds[0])
	syscall.Close(fds[1])
}

func benchmarkByte(b *testing.B, call func(uintptr, *[6]uintptr) uintptr, x, y uintptr) {
	buf := make([]byte, 1)
	inHeap = buf
	send, recv := [6]uintptr{x, uintptr(unsafe.Pointer(&buf[0])), 1}, [6]uintptr{y, uintptr(unsafe.Pointer(&buf[0])), 1}
	b.ReportAllocs()
	for b.Loop() {
		call(unix.SYS_WRITE, &send)
		if call(unix.SYS_READ, &recv) != 1 {
			b.Fatal("the byte did not come")
		}
	}
}

func BenchmarkSocketRead(b *testing.B)  { benchmarkCall(b, unix.SYS_READ) }
func BenchmarkSocketWrite(b *testing.B) { benchmarkCall(b, unix.SYS_WRITE) }

func benchmarkCall(b *testing.B, nr uintptr) {
	fd := readySocketFD(b)
	buf := make([]byte, 4096)
	inHeap = buf
	a := [6]uintptr{fd, uintptr(unsafe.Pointer(&buf[0])), 4096}
	b.ReportAllocs()
	b.SetBytes(4096)
	for b.Loop() {
		Door(nr, &a)
	}
}
