// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udpMessage is a struct msghdr with what it points to.
type udpMessage struct {
	hdr  unix.Msghdr
	iov  unix.Iovec
	name [28]byte
	data [16]byte
	size [4]byte // of name
}

// udpInHeap keeps memory out of the test's stack.
var udpInHeap *udpMessage

func (m *udpMessage) reset(n int) uintptr { return m.resetTo(at(m.data[:]), n) }

func (m *udpMessage) resetTo(data uintptr, n int) uintptr {
	m.iov = unix.Iovec{Base: (*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&data))), Len: uint64(n)}
	m.hdr = unix.Msghdr{Name: &m.name[0], Namelen: uint32(len(m.name)), Iov: &m.iov, Iovlen: 1}
	return uintptr(unsafe.Pointer(&m.hdr))
}

// TestBudgetUDP is TestBudget for a datagram of the machine to itself, on the stack that a guest has.
// Go's own net.TestAllocs wants the same.
func TestBudgetUDP(t *testing.T) {
	n, err := otherNetwork()
	if err != nil {
		t.Fatal(err)
	}
	defer RegisterNetwork(*network.Load())
	RegisterNetwork(n)
	arenaSet(make([]byte, 4096))
	defer func() { arena.lo, arena.hi, arena.keep = 0, 0, nil }()
	for _, domain := range []int{unix.AF_INET, unix.AF_INET6} {
		fd := served(t, unix.SYS_SOCKET, uintptr(domain), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
		t.Cleanup(func() { closeFD(int(fd)) })
		m := new(udpMessage)
		size := m.size[:]
		udpInHeap = m
		m.name[0] = byte(domain)
		if domain == unix.AF_INET {
			copy(m.name[4:], []byte{127, 0, 0, 1})
		} else {
			m.name[23] = 1
		}
		served(t, unix.SYS_BIND, fd, at(m.name[:]), 28)
		size[0] = 28
		served(t, unix.SYS_GETSOCKNAME, fd, at(m.name[:]), at(size))
		long := uintptr(size[0])
		for _, tt := range []struct {
			name string
			call func()
		}{
			{"sendto and recvfrom", func() {
				served(t, unix.SYS_SENDTO, fd, at(m.data[:]), 8, 0, at(m.name[:]), long)
				size[0] = 28
				served(t, unix.SYS_RECVFROM, fd, at(m.data[:]), 8, 0, at(m.name[:]), at(size))
			}},
			{"sendmsg and recvmsg", func() {
				served(t, unix.SYS_SENDMSG, fd, m.reset(8), 0)
				served(t, unix.SYS_RECVMSG, fd, m.reset(8), 0)
			}},
			{"data on the stack, sendto and recvfrom", func() {
				served(t, unix.SYS_SENDTO, fd, arena.lo+64, 8, 0, at(m.name[:]), long)
				size[0] = 28
				served(t, unix.SYS_RECVFROM, fd, arena.lo+64, 8, 0, at(m.name[:]), at(size))
			}},
			{"data on the stack, sendmsg and recvmsg", func() {
				served(t, unix.SYS_SENDMSG, fd, m.resetTo(arena.lo+64, 8), 0)
				served(t, unix.SYS_RECVMSG, fd, m.resetTo(arena.lo+64, 8), 0)
			}},
			{"nothing to receive", func() {
				Door(unix.SYS_RECVFROM, &[6]uintptr{fd, at(m.data[:]), 8, 0, at(m.name[:]), at(size)})
			}},
		} {
			if n := testing.AllocsPerRun(100, tt.call); n > 0 {
				t.Errorf("domain %d, %s: %v allocations, none is planned", domain, tt.name, n)
			}
		}
	}
}
