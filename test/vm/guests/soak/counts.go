// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// counted is something that may leak. A run leaks it if at the end there is more of it
// than after the warm-up by more than allowed, and if it grew in the second half too:
// what the program keeps for ever levels off, a leak does not.
type counted struct {
	name    string
	allowed int64
	now     func() (int64, error)
}

var counting = []counted{
	// What the Go runtime keeps of its own (spans, profile buckets, stacks of threads)
	// moves by a MiB or two; frames of the system are in this figure too.
	{"memory-kB", 4096, memoryInUse},
	{"heap-kB", 1024, heapInUse},
	{"objects", 4000, heapObjects},
	{"tmpfs-kB", 0, shared},
	{"threads", 6, threadsNow},
	{"descriptors", 0, descriptors},
	{"goroutines", 2, func() (int64, error) { return int64(runtime.NumGoroutine()), nil }},
}

// counts are the figures of counting, in that order.
type counts []int64

// settle waits until what ended is gone, and counts what is left: the least of each
// within some seconds.
func settle() counts {
	const patience, steady = 10 * time.Second, 3
	least := make(counts, len(counting))
	for i := range least {
		least[i] = math.MaxInt64
	}
	unchanged := 0
	for end := time.Now().Add(patience); unchanged < steady && time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		debug.FreeOSMemory() // collects, too
		unchanged++
		for i, c := range counting {
			v, err := c.now()
			if err != nil {
				fail(c.name, err)
				continue
			}
			if v < least[i] {
				least[i], unchanged = v, 0
			}
		}
	}
	return least
}

// judge prints the figures of all phases and fails for those that grew.
func judge(all []counts) {
	for i, c := range counting {
		var b strings.Builder
		for _, phase := range all {
			fmt.Fprintf(&b, " %d", phase[i])
		}
		say("count %s%s", c.name, b.String())
		values := make([]int64, len(all))
		for n := range all {
			values[n] = all[n][i]
		}
		if grew := leaked(values, c.allowed); grew > 0 {
			fail("leak", fmt.Errorf("%s: %d more than after the warm-up", c.name, grew))
		}
	}
}

// leaked is by how much a figure grew more than allowed, from the first phase to the
// last; 0 if it did not, or did not any more in the second half of several phases.
func leaked(values []int64, allowed int64) int64 {
	last := len(values) - 1
	grew := values[last] - values[0]
	if grew <= allowed {
		return 0
	}
	if last >= 4 {
		half := values[last/2]
		if slices.Max(values[last/2:]) == half || values[last] <= half {
			return 0
		}
	}
	return grew
}

// field finds a number in a file of /proc whose lines are NAME: VALUE.
func field(file, name string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			words := bytes.Fields(rest)
			if len(words) > 0 {
				return strconv.ParseInt(string(words[0]), 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

// memoryInUse is, in a guest, all memory that is not free: the program's, page tables,
// contents of files, the system's own. On Linux, which is not ours alone, it is the
// program's.
func memoryInUse() (int64, error) {
	if !inGuest() {
		return field("/proc/self/status", "VmRSS")
	}
	total, err := field("/proc/meminfo", "MemTotal")
	free, err2 := field("/proc/meminfo", "MemFree")
	return total - free, cmp.Or(err, err2)
}

// inGuest tells whether the program is the machine's only one.
func inGuest() bool { return os.Getpid() == 1 }

func heapInUse() (int64, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc >> 10), nil
}

func heapObjects() (int64, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapObjects), nil
}

// shared is what files in memory take.
func shared() (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(filesDir(), &s); err != nil {
		return 0, err
	}
	if !inGuest() {
		return 0, nil
	}
	return int64(s.Blocks-s.Bfree) * s.Bsize >> 10, nil
}

func threadsNow() (int64, error) { return field("/proc/self/status", "Threads") }

func descriptors() (int64, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	return int64(len(entries)), err
}
