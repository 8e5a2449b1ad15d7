// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// readings is how often the page and the counter are compared.
const readings = 200

// refPage is the reference TSC page (TLFS 12.7.3).
type refPage uintptr

// at is the reference time at a value of the TSC; ok is false while the page is not
// valid.
func (r refPage) at(tsc uint64) (t uint64, ok bool) {
	for {
		sequence := atomic.LoadUint32(half(uintptr(r)))
		if sequence == 0 || sequence == 0xFFFFFFFF {
			return 0, false
		}
		ticks, _ := bits.Mul64(tsc, *word(uintptr(r) + 8))
		t = ticks + *word(uintptr(r) + 16)
		if atomic.LoadUint32(half(uintptr(r))) == sequence {
			return t, true
		}
	}
}

const noCounter = notRun("the host has no reference counter")

var errNotValid = errors.New("the page's sequence says that it is not valid")

func (m *machine) clock() {
	m.check("reference TSC page reads back", m.pageReadsBack)
	m.check("reference TSC page is valid", func() (string, error) {
		return m.withPage(func(r refPage) error {
			if _, ok := r.at(0); !ok {
				return errNotValid
			}
			return nil
		})
	})
	m.each("reference TSC page agrees with the counter", func(p *processor) (string, error) {
		return m.withPage(func(r refPage) error { return p.agrees(r) })
	})
	m.each("reference counter never goes backwards", counterGrows)
	m.check("reference counter is one for both processors", m.oneCounter)
	m.check("clock of package hv agrees with the counter", productClock)
	m.check("clock of package hv never goes backwards", productClockGrows)
	m.each("TSC frequency register agrees with the counter", frequency)
	m.check("reference TSC page can be disabled", m.disablePage)
}

// withPage gives a check the page that the runtime enabled.
func (m *machine) withPage(f func(refPage) error) (string, error) {
	v, ok := m.first.rdmsr(tlfs.MSRReferenceTSC)
	if !ok {
		return "", notRun("the host has no reference TSC page")
	}
	if v&tlfs.OverlayEnable == 0 {
		return "", fmt.Errorf("the register reads %#x", v)
	}
	return "", f(refPage(physical(v)))
}

func (m *machine) pageReadsBack() (string, error) {
	return m.withPage(func(refPage) error {
		v, _ := m.first.rdmsr(tlfs.MSRReferenceTSC)
		if !m.first.wrmsr(tlfs.MSRReferenceTSC, v) {
			return errors.New("#GP on a write")
		}
		_, err := reads(tlfs.MSRReferenceTSC, v)(m.first)
		return err
	})
}

// agrees checks that the page's time lies between two readings of the counter. Both
// have a resolution of one unit.
func (p *processor) agrees(r refPage) error {
	for i := range readings {
		before, fault := p.do(opBracket)
		if fault >= 0 {
			return noCounter
		}
		tsc, after := p.result(1), p.result(2)
		got, ok := r.at(tsc)
		if !ok {
			return errNotValid
		}
		if got+1 < before || got > after+1 {
			return fmt.Errorf("reading %d: the page says %d, the counter %d before and %d after", i, got, before, after)
		}
	}
	return nil
}

func counterGrows(p *processor) (string, error) {
	last := uint64(0)
	for i := range readings {
		before, fault := p.do(opBracket)
		if fault >= 0 {
			return "", noCounter
		}
		if after := p.result(2); before < last || after < before {
			return "", fmt.Errorf("reading %d: %d, then %d and %d", i, last, before, after)
		}
		last = p.result(2)
	}
	return "", nil
}

// oneCounter reads the counter on both processors in turn.
func (m *machine) oneCounter() (string, error) {
	if m.second == nil {
		return "", notRun(m.why.Error())
	}
	last := uint64(0)
	for i := range readings {
		for _, p := range []*processor{m.first, m.second} {
			now, ok := p.rdmsr(tlfs.MSRTimeRefCount)
			if !ok {
				return "", noCounter
			}
			if now < last {
				return "", fmt.Errorf("reading %d: %s says %d, the other said %d before", i, p.name, now, last)
			}
			last = now
		}
	}
	return "", nil
}

func productClock() (string, error) {
	if hv.Host.Features&tlfs.AccessPartitionRefCount == 0 {
		return "", noCounter
	}
	for i := range readings {
		before := ticks()
		now := uint64(hv.Now() / tlfs.ReferenceUnit100ns)
		after := ticks()
		if now+1 < before || now > after+1 {
			return "", fmt.Errorf("reading %d: Now says %d, the counter %d before and %d after", i, now, before, after)
		}
	}
	return hv.TimeSource(), nil
}

func productClockGrows() (string, error) {
	last := hv.Now()
	for i := range 100_000 {
		now := hv.Now()
		if now < last {
			return "", fmt.Errorf("reading %d: %d ns, then %d", i, last, now)
		}
		last = now
	}
	return "", nil
}

// frequency counts cycles over 50 ms: within 1 %.
func frequency(p *processor) (string, error) {
	hz, ok := p.rdmsr(tlfs.MSRTSCFrequency)
	if !ok {
		return "", notRun("the host does not announce it")
	}
	start, tsc := p.bothClocks()
	spin(50 * time.Millisecond)
	end, tscEnd := p.bothClocks()
	counted := (tscEnd - tsc) * (1e9 / tlfs.ReferenceUnit100ns) / (end - start)
	if counted < hz-hz/100 || counted > hz+hz/100 {
		return "", fmt.Errorf("the register says %d Hz, the counter %d", hz, counted)
	}
	return "", nil
}

// bothClocks reads reference counter and TSC at nearly the same time: the best of
// several tries, since the host may run something else in between.
func (p *processor) bothClocks() (reference, tsc uint64) {
	best := ^uint64(0)
	for range 20 {
		before, _ := p.do(opBracket)
		if width := p.result(2) - before; width < best {
			best, reference, tsc = width, before+width/2, p.result(1)
		}
	}
	return reference, tsc
}

// disablePage turns the page off and on again.
func (m *machine) disablePage() (string, error) {
	return m.withPage(func(r refPage) error {
		v, _ := m.first.rdmsr(tlfs.MSRReferenceTSC)
		defer m.first.wrmsr(tlfs.MSRReferenceTSC, v)
		m.first.wrmsr(tlfs.MSRReferenceTSC, 0)
		if _, err := reads(tlfs.MSRReferenceTSC, 0)(m.first); err != nil {
			return err
		}
		m.first.wrmsr(tlfs.MSRReferenceTSC, v)
		if _, ok := r.at(0); !ok {
			return errors.New("not valid when enabled again")
		}
		return nil
	})
}
