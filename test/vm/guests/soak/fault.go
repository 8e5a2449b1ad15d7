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
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// wrong has what is to go wrong on purpose: the checks have to find it.
var wrong = map[string]bool{}

// faults are done after each round of the load alloc; those named corrupt-LOAD are in
// spoil, hang-LOAD in provoke.
var faults = map[string]func(n int64) error{
	"leak-memory":     leakMemory,
	"leak-heap":       leakHeap,
	"leak-thread":     leakThread,
	"leak-descriptor": leakDescriptor,
	"leak-goroutine":  leakGoroutine,
	"leak-file":       leakFile,
	"leak-socket":     leakSocket,
	"stall":           stall,
}

func faultNames() []string {
	return append(slices.Sorted(maps.Keys(faults)), "corrupt-LOAD", "hang-LOAD")
}

// setFaults reads a list of names.
func setFaults(list string) error {
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		kind, load, _ := strings.Cut(name, "-")
		if faults[name] == nil && (kind != "corrupt" && kind != "hang" || load == "") {
			return fmt.Errorf("-fault %s: there is none of this name", name)
		}
		wrong[name] = true
	}
	return nil
}

// provoke does the faults behind a round.
func provoke(l *load) {
	if wrong["hang-"+l.name] && l.rounds.Load() == 1 {
		<-make(chan struct{})
	}
	if l.name != "alloc" {
		return
	}
	for name, f := range faults {
		if !wrong[name] {
			continue
		}
		if err := f(l.rounds.Load()); err != nil {
			fail(name, err)
		}
	}
}

var spoilt sync.Map // by name

// spoil changes one bit in the data of a load, once.
func spoil(name string, b []byte) {
	if !wrong["corrupt-"+name] || len(b) == 0 {
		return
	}
	if _, done := spoilt.LoadOrStore(name, true); !done {
		b[len(b)/2] ^= 0x10
	}
}

// leakMemory takes memory that Go's heap knows nothing of.
func leakMemory(int64) error {
	b, err := unix.Mmap(-1, 0, 4<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return err
}

var kept [][]byte

func leakHeap(int64) error {
	kept = append(kept, make([]byte, 2<<20))
	return nil
}

func leakGoroutine(int64) error {
	for range 4 {
		go func() { select {} }()
	}
	return nil
}

// leakThread leaves threads in a system call that does not end.
func leakThread(int64) error {
	for range 4 {
		go func() {
			runtime.LockOSThread()
			for {
				t := unix.NsecToTimespec(int64(time.Hour))
				_ = unix.Nanosleep(&t, nil)
			}
		}()
	}
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
