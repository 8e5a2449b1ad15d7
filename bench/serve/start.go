// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/bench"
)

// start notes when what was done.
type start struct {
	mu    sync.Mutex
	marks []bench.Mark
}

func newStart() *start {
	s := new(start)
	s.mark(bench.MarkMain)
	return s
}

// now is the time since the guest's clock began, which runs from the kernel's start on.
func now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

func (s *start) mark(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks = append(s.marks, bench.Mark{Name: name, At: now()})
}

func (s *start) told() bench.Start {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bench.Start{Now: now(), Marks: append([]bench.Mark(nil), s.marks...)}
}

// awaitAddress notes when there is an address, if init did not wait for it.
func (s *start) awaitAddress() {
	for _, m := range s.told().Marks {
		if m.Name == bench.MarkAddress {
			return
		}
	}
	if await("address", hasAddress) == nil {
		s.mark(bench.MarkAddress)
	}
}

// hasAddress looks for an IPv4 address that others can reach.
func hasAddress() bool {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}
