// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// results count what was printed.
type results struct{ ok, failed, notRun int }

// notRun is the error of a check that this machine does not allow.
type notRun string

func (n notRun) Error() string { return string(n) }

// check runs a check and prints its line. A check says what it found, or what is wrong.
func (r *results) check(name string, f func() (detail string, err error)) {
	detail, err := f()
	var skipped notRun
	switch {
	case errors.As(err, &skipped):
		r.notRun++
		fmt.Printf("synic: not run %s: %s\n", name, skipped)
	case err != nil:
		r.failed++
		fmt.Printf("synic: FAIL %s: %v\n", name, err)
	case detail != "":
		r.ok++
		fmt.Printf("synic: ok %s: %s\n", name, detail)
	default:
		r.ok++
		fmt.Printf("synic: ok %s\n", name)
	}
}

// finish prints the summary, and ends the program if a check failed.
func (r *results) finish() {
	fmt.Printf("synic: done: %d checks: %d ok, %d failed, %d not run\n", r.ok+r.failed+r.notRun, r.ok, r.failed, r.notRun)
	if r.failed > 0 {
		os.Exit(1)
	}
}

// ticks is the reference time, in units of 100 ns: of the register where there is
// one, since the page is under test.
func ticks() uint64 {
	if hv.Host.Features&tlfs.AccessPartitionRefCount == 0 {
		return uint64(hv.Now() / tlfs.ReferenceUnit100ns)
	}
	return ring0.Rdmsr(tlfs.MSRTimeRefCount)
}

func units(d time.Duration) uint64 { return uint64(d / (tlfs.ReferenceUnit100ns * time.Nanosecond)) }

// until waits for a condition, and says whether it came true within limit. It
// spins: the runtime's timer belongs to the checks.
func until(done func() bool, limit time.Duration) bool {
	for end := ticks() + units(limit); ; {
		for range 1000 {
			if done() {
				return true
			}
			ring0.Pause()
		}
		if ticks() > end {
			return done()
		}
	}
}

// spin lets time pass.
func spin(d time.Duration) { until(func() bool { return false }, d) }

// settle is how long nothing must happen where nothing may.
const settle = 15 * time.Millisecond

// once waits for one interrupt beyond before, and says whether it stayed the only one.
func (p *processor) once(vector, before uint64) error {
	if !until(func() bool { return p.count(vector) != before }, patience) {
		return fmt.Errorf("no interrupt on vector %#x in %v", vector, patience)
	}
	return p.quiet(vector, before+1)
}

// quiet says whether a vector's count stays what it is.
func (p *processor) quiet(vector, count uint64) error {
	spin(settle)
	if n := p.count(vector); n != count {
		return fmt.Errorf("%d interrupts on vector %#x instead of %d", n, vector, count)
	}
	return nil
}
