// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// fault is what is to go wrong on purpose: the checks have to find it.
var fault string

// faults are done after each round of the load alloc; those named corrupt-LOAD are in
// spoil, hang-LOAD in provoke.
var faults = map[string]func(n int64) error{
	"leak-memory":     leakMemory,
	"leak-heap":       leakHeap,
	"leak-thread":     leakThread,
	"leak-descriptor": leakDescriptor,
	"leak-goroutine":  func(int64) error { go func() { select {} }(); return nil },
	"leak-file":       leakFile,
	"leak-socket":     leakSocket,
	"stall":           stall,
}

func faultNames() []string {
	return append(slices.Sorted(maps.Keys(faults)), "corrupt-LOAD", "hang-LOAD")
}

func checkFault(name string) error {
	for _, prefix := range []string{"corrupt-", "hang-"} {
		if load, ok := strings.CutPrefix(name, prefix); ok && load != "" {
			return nil
		}
	}
	if name != "" && faults[name] == nil {
		return fmt.Errorf("-fault %s: there is none of this name", name)
	}
	return nil
}

// provoke does the fault behind a round.
func provoke(l *load) {
	switch f := faults[fault]; {
	case fault == "hang-"+l.name && l.rounds.Load() == 1:
		<-make(chan struct{})
	case f != nil && l.name == "alloc":
		if err := f(l.rounds.Load()); err != nil {
			fail(fault, err)
		}
	}
}

var spoilt atomic.Bool

// spoil changes one bit in the data of a load, once.
func spoil(name string, b []byte) {
	if fault == "corrupt-"+name && len(b) > 0 && spoilt.CompareAndSwap(false, true) {
		b[len(b)/2] ^= 0x10
	}
}

// leakMemory takes memory that Go's heap knows nothing of.
func leakMemory(int64) error {
	b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return err
}

var kept [][]byte

func leakHeap(int64) error {
	kept = append(kept, make([]byte, 256<<10))
	return nil
}

// leakThread leaves a thread in a system call that does not end.
func leakThread(int64) error {
	go func() {
		runtime.LockOSThread()
		for {
			t := unix.NsecToTimespec(int64(time.Hour))
			_ = unix.Nanosleep(&t, nil)
		}
	}()
	return nil
}

func leakDescriptor(int64) error {
	_, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return err
}

func leakFile(n int64) error {
	return os.WriteFile(filepath.Join(filesDir(), fmt.Sprint("soak-left-", n)), make([]byte, 64<<10), 0o600)
}

// leakSocket leaves a connection half open: the descriptor is closed in neither end.
func leakSocket(int64) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	return unix.Listen(fd, 1)
}

// stall stands the whole program still, once, for more than a second: what tells the
// stacks of all goroutines stops them meanwhile. There are more of them until it takes
// that long.
func stall(n int64) error {
	if n != 2 {
		return nil
	}
	const enough, most = 2500 * time.Millisecond, 1 << 17
	end := make(chan struct{})
	defer close(end)
	small := make([]byte, 1<<10) // what does not fit is made all the same
	for count, more := 0, 1<<10; count < most; more *= 2 {
		for range more {
			go deepWait(20, end)
		}
		count += more
		start := time.Now()
		runtime.Stack(small, true)
		if time.Since(start) > enough {
			return nil
		}
	}
	return errors.New("all stacks were told too quickly")
}

//go:noinline
func deepWait(depth int, end <-chan struct{}) {
	if depth > 0 {
		deepWait(depth-1, end)
		return
	}
	<-end
}
