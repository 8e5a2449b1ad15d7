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
	if os.Getenv("HVGO_TEST_LONG") == "" {
		t.Skip("HVGO_TEST_LONG is not set: four machines take minutes")
	}
	for _, tt := range []struct {
		name, args string
		says       []string
	}{
		{"leaks", "-loads alloc -fault leak-memory,leak-heap,leak-thread,leak-descriptor,leak-socket,leak-goroutine,leak-file", []string{
			"leak: memory-kB", "leak: heap-kB", "leak: threads", "leak: descriptors", "leak: goroutines", "leak: tmpfs-kB",
		}},
		{"corruption", "-fault corrupt-alloc,corrupt-chans,corrupt-tcp,corrupt-files,corrupt-disk,corrupt-pipes,corrupt-http", []string{
			"alloc: round 0: data differ", "chans: round 0", "tcp: round 0", "files: round 0: data differ", "disk: round 0: at", "pipes: round 0",
			"http client: of",
		}},
		{"stall", "-loads alloc,chans -fault stall", []string{"stall: the goroutine"}},
		{"hang", "-loads chans,timers -fault hang-chans -hang 5s", []string{"hang: chans has not finished a round"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := short(t, Limit, append(strings.Fields(tt.args), "-warmup", "2s", "-duration", "6s", "-phases", "1", "-rest", "1")...)
			for _, says := range tt.says {
				if !slices.ContainsFunc(r.Failures, func(f string) bool { return strings.Contains(f, says) }) {
					t.Errorf("%q was not found; %q", says, r.Failures)
				}
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
