// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tick = 10 * time.Millisecond
	// counts is the least time without this side that excuses anything.
	counts = 50 * time.Millisecond
	// extension is by how much such a time is made longer at most, at both ends.
	extension = 50 * time.Millisecond
)

// span is a time in ns of the monotonic clock.
type span struct{ from, to int64 }

func (s span) length() time.Duration { return time.Duration(s.to - s.from) }

// now is the monotonic clock in ns.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // it takes no argument that could be wrong
	}
	return t.Nano()
}

// watch is a thread that asks to wake every tick, and keeps when it did not.
type watch struct {
	tell  func(span) // about those of half a second and more
	stop  chan struct{}
	done  sync.WaitGroup
	spans []span
}

func startWatch(tell func(span)) *watch {
	w := &watch{tell: tell, stop: make(chan struct{})}
	w.done.Go(w.run)
	return w
}

func (w *watch) run() {
	runtime.LockOSThread() // the thread ends with the goroutine
	for last := now(); ; {
		select {
		case <-w.stop:
			return
		default:
		}
		d := unix.NsecToTimespec(int64(tick))
		_ = unix.Nanosleep(&d, nil) // a signal ends it early
		t := now()
		if t-last > int64(counts) {
			w.spans = append(w.spans, span{last, t})
			if t-last > int64(time.Second/2) {
				w.tell(span{last, t}) // it may not block: this is the watcher
			}
		}
		last = t
	}
}

func (w *watch) end() []span {
	close(w.stop)
	w.done.Wait()
	return w.spans
}

// excused is how much of a gap lies in spans, each extended by a quarter at both ends. The spans are in order and do
// not overlap; their extensions may.
func excused(gap span, spans []span) (sum time.Duration) {
	from := gap.from
	for _, s := range spans {
		more := min(s.length()/4, extension).Nanoseconds()
		a, b := max(s.from-more, from), min(s.to+more, gap.to)
		if a < b {
			sum += time.Duration(b - a)
			from = b
		}
	}
	return sum
}

// processors is what they did since the start, in ticks of /proc/stat.
type processors struct{ idle, all float64 }

func readCPU() (p processors) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return p
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	for i, word := range bytes.Fields(line) {
		v, err := strconv.ParseFloat(string(word), 64)
		if err != nil || i > 8 { // guest's times are in user's too
			continue
		}
		if p.all += v; i == 4 || i == 5 { // idle, iowait
			p.idle += v
		}
	}
	return p
}

// idleSince is the part of the time since before in which nothing was to do.
func (p processors) idleSince(before processors) float64 {
	if p.all <= before.all {
		return 0
	}
	return (p.idle - before.idle) / (p.all - before.all)
}
