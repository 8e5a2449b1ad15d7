// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/hosttest"
)

// soakImage is the environment's name of the guest's kernel; scripts/vm-tests sets it.
const soakImage = "HVGO_TEST_SOAK"

// short is a run of seconds with flags of the guest's.
func short(t *testing.T, limit time.Duration, args ...string) *Result {
	t.Helper()
	hosttest.NeedKVM(t)
	image := os.Getenv(soakImage)
	if image == "" {
		t.Skipf("%s names no file (make vm-test sets it)", soakImage)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	r, err := Run(ctx, Config{
		Image: image, CPUs: 4, Memory: 384 << 20, Disk: 64 << 20, Console: t.Output(),
		Args: args, Limit: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSoak runs all loads for a while.
func TestSoak(t *testing.T) {
	const limit = 20 * time.Second // the machine is not ours alone: a hang is a hang all the same
	r := short(t, limit, "-warmup", "10s", "-duration", "20s", "-phases", "2", "-hang", "3m")
	r.Print(t.Output())
	for _, f := range r.Failures {
		t.Error(f)
	}
	if r.Requests == 0 {
		t.Error("the client made no requests")
	}
}

// TestFaults has the guest do each thing wrong that a soak is to find.
func TestFaults(t *testing.T) {
	const brief = "-warmup 2s -duration 8s -phases 1 -rest 2 -loads "
	for _, tt := range []struct{ fault, args, says string }{
		{"leak-memory", brief + "alloc", "leak: memory-kB"},
		{"leak-heap", brief + "alloc", "leak: heap-kB"},
		{"leak-thread", brief + "alloc", "leak: threads"},
		{"leak-descriptor", brief + "alloc", "leak: descriptors"},
		{"leak-socket", brief + "alloc", "leak: descriptors"},
		{"leak-goroutine", brief + "alloc", "leak: goroutines"},
		{"leak-file", brief + "alloc", "leak: tmpfs-kB"},
		{"stall", brief + "alloc,chans", "stall: the goroutine"},
		{"corrupt-alloc", brief + "alloc", "alloc: round 0: data differ"},
		{"corrupt-chans", brief + "chans", "chans: round"},
		{"corrupt-tcp", brief + "tcp", "tcp: round 0"},
		{"corrupt-files", brief + "files", "files: round 0: data differ"},
		{"corrupt-disk", brief + "disk", "disk: round 0: at"},
		{"corrupt-pipes", brief + "pipes", "pipes: round 0"},
		{"corrupt-http", brief + "http", "http client: of"},
		{"hang-chans", brief + "chans,timers -hang 5s", "hang: chans has not finished a round"},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			r := short(t, Limit, append(strings.Fields(tt.args), "-fault", tt.fault)...)
			if !slices.ContainsFunc(r.Failures, func(f string) bool { return strings.Contains(f, tt.says) }) {
				t.Errorf("not found; %q", r.Failures)
			}
		})
	}
}

func TestExcused(t *testing.T) {
	const s, ms = int64(time.Second), time.Millisecond
	for _, tt := range []struct {
		name  string
		gap   span
		spans []span
		want  time.Duration
	}{
		{"nothing", span{0, s}, nil, 0},
		{"elsewhere", span{0, s}, []span{{2 * s, 3 * s}}, 0},
		{"inside", span{0, s}, []span{{4e8, 5e8}}, 150 * ms},
		{"a long one inside", span{0, 5 * s}, []span{{s, 2 * s}}, 1100 * ms},
		{"over its begin", span{s, 2 * s}, []span{{0, s + 5e6}}, 55 * ms},
		{"over its end", span{s, 2 * s}, []span{{2*s - 5e6, 4 * s}}, 55 * ms},
		{"all of it", span{s, 2 * s}, []span{{0, 4 * s}}, time.Second},
		{"two whose extensions overlap", span{0, s}, []span{{3e8, 4e8}, {41e7, 51e7}}, 260 * ms},
	} {
		if got := excused(tt.gap, tt.spans); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestJudge(t *testing.T) {
	const s = int64(time.Second)
	r := newReport(nil)
	r.delays = []int64{5}
	r.take("gap thread 0 " + "1500000000")
	r.take("gap goroutine 0 " + "900000000")
	r.take("FAIL leak: threads: 3 more")
	r.take("gap x")
	r.take("done")
	res := r.result()
	res.judge(Limit)
	if want := 3; len(res.Failures) != want { // leak, a line that is none, stall of the thread
		t.Errorf("%q", res.Failures)
	}
	res = r.result()
	res.Failures, res.Host = nil, []span{{0, s / 2}}
	res.judge(Limit)
	if len(res.Failures) != 0 || res.Worst().Watcher != "thread" && res.Worst().Remains() < 900*time.Millisecond {
		t.Errorf("%q, %+v", res.Failures, res.Worst())
	}
}
