// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command guest checks the hypervisor's part of a host from inside: MSRs and
// hypercalls, the SynIC's interrupts, messages and events (with the test device of
// QEMU and of host/testdev), synthetic timers, and the reference clock. It knows
// nothing of the host that it runs on, so that the results of two hosts can be
// compared line by line.
//
//	synic: ok NAME: what was found
//	synic: FAIL NAME: what is wrong
//	synic: not run NAME: what the machine lacks
//	synic: done: N checks: N ok, N failed, N not run
//
// It is an ordinary program of the runtime's up to main. There it takes the
// interrupt vectors, the SINTs and the timers away from the runtime, and gives them
// back at the end. While it has them nothing else runs: no timer, no preemption, no
// collector. Package hv's own ways of posting, signalling, reading messages and
// telling the time are used on the first processor wherever there is one, since
// they are what is to be witnessed; the second processor, if there is one, is only
// known to this program: the runtime is built with the tag hvgo_one_processor.
//
//	cpu.go, second.go    the processors, and operations on them (testdata/cpu.S)
//	runtime.go           what the runtime lends
//	result.go            lines and waiting
//	msr.go ... clock.go  the checks, in the order in which they run
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/hvgo/hvgo/runtime/ring0"
)

func main() {
	debug.SetGCPercent(-1)
	var r results
	if err := run(&r); err != nil {
		fmt.Println("synic: FAIL start:", err)
		os.Exit(1)
	}
	r.finish()
}

func run(r *results) error {
	if n := ring0.NumCPUs(); n > 1 {
		return fmt.Errorf("the runtime has %d processors: build this with -tags hvgo_one_processor", n)
	}
	first, err := takeOver()
	if err != nil {
		return err
	}
	lent := borrow()
	defer lent.giveBack(first)
	second, why := startSecond(first)
	if why == nil {
		defer second.stop()
	}
	m := machine{r, lent, first, second, why}
	for _, group := range []func(){m.msrs, m.hypercalls, m.sints, m.messages, m.events, m.timers, m.clock} {
		group()
	}
	return nil
}

// machine is what the checks are about.
type machine struct {
	*results
	lent          *loan
	first, second *processor // second may be nil
	why           error      // why there is no second
}

// check makes a check. What one that failed has left behind must not fail the next.
func (m *machine) check(name string, f func() (detail string, err error)) {
	failed := m.failed
	if m.results.check(name, f); m.failed == failed {
		return
	}
	for _, p := range []*processor{m.first, m.second} {
		if p != nil {
			p.cleanUp()
		}
	}
}

// each makes a check on each processor, its name behind the check's.
func (m *machine) each(name string, f func(p *processor) (string, error)) {
	m.check(name+" vp0", func() (string, error) { return f(m.first) })
	m.check(name+" vp1", func() (string, error) {
		if m.second == nil {
			return "", notRun(m.why.Error())
		}
		return f(m.second)
	})
}
