// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"math/bits"
	"sync/atomic"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// refTSC is the reference TSC page (TLFS 12.7.3):
//
//	0           4          8           16          24
//	+-----------+----------+-----------+-----------+
//	| sequence  | reserved | scale     | offset    |
//	+-----------+----------+-----------+-----------+
//
// Reference time = (TSC * scale) >> 64 + offset, in units of 100 ns. Sequence
// 0 means that the page is not valid now: read the counter's MSR instead.
type refTSC struct {
	sequence uint32
	_        uint32
	scale    uint64
	offset   int64
}

// tscPage is the address of the page, 0 where there is none.
var tscPage uintptr

// realtimeBase is CLOCK_REALTIME minus reference time, in ns.
var realtimeBase int64

//go:nosplit
func initRefTime() {
	if !has(tlfs.AccessReferenceTSC) {
		return
	}
	pa := mem.AllocFrame()
	if pa == 0 {
		return
	}
	clearPage(pa)
	ring0.Wrmsr(tlfs.MSRReferenceTSC, pa|tlfs.OverlayEnable)
	tscPage = mem.Phys(pa)
}

// TimeSource names what Now reads.
//
//go:nosplit
func TimeSource() string {
	if tscPage != 0 {
		p := (*refTSC)(ring0.Pointer(tscPage))
		if atomic.LoadUint32(&p.sequence) != 0 {
			return "reference TSC page"
		}
	}
	return "reference counter MSR"
}

// Now is the reference time in ns: the time since the partition was made. Any
// context.
//
//go:nosplit
func Now() int64 {
	if tscPage != 0 {
		p := (*refTSC)(ring0.Pointer(tscPage))
		for {
			sequence := atomic.LoadUint32(&p.sequence)
			if sequence == 0 {
				break
			}
			scale := atomic.LoadUint64(&p.scale)
			offset := atomic.LoadInt64(&p.offset)
			ticks, part := bits.Mul64(ring0.Rdtsc(), scale)
			if atomic.LoadUint32(&p.sequence) == sequence {
				// The product's lower half is the fraction of a unit.
				ns, _ := bits.Mul64(part, tlfs.ReferenceUnit100ns)
				return (int64(ticks)+offset)*tlfs.ReferenceUnit100ns + int64(ns)
			}
		}
	}
	return counterNow(ring0.Rdmsr(tlfs.MSRTimeRefCount))
}

// counterNow is the end of the unit that the counter shows. The page tells parts of a
// unit too, and a clock that was read by it must not go back when it ceases to be valid.
//
//go:nosplit
func counterNow(units uint64) int64 {
	return int64(units)*tlfs.ReferenceUnit100ns + tlfs.ReferenceUnit100ns - 1
}

// SetRealtime says that it is now ns after 1970-01-01T00:00:00Z.
//
//go:nosplit
func SetRealtime(ns int64) { atomic.StoreInt64(&realtimeBase, ns-Now()) }

// Realtime is the time since 1970-01-01T00:00:00Z in ns.
//
//go:nosplit
func Realtime() int64 { return Now() + atomic.LoadInt64(&realtimeBase) }

// Linux's clock numbers (time.h).
const (
	clockRealtime        = 0
	clockMonotonic       = 1
	clockMonotonicRaw    = 4
	clockRealtimeCoarse  = 5
	clockMonotonicCoarse = 6
	clockBoottime        = 7
	clockTAI             = 11
)

// The clocks as sets of bits, and what else vdso_amd64.s needs.
const (
	clocksRealtime  = 1<<clockRealtime | 1<<clockRealtimeCoarse | 1<<clockTAI
	clocksMonotonic = 1<<clockMonotonic | 1<<clockMonotonicRaw | 1<<clockMonotonicCoarse | 1<<clockBoottime
	clockLast       = clockTAI
	unit            = tlfs.ReferenceUnit100ns
	counterMSR      = tlfs.MSRTimeRefCount
	perSecond       = 0x44b82fa09b5a53 // ceil(2^75 / (10^9 / 2^9))
)

// Clock reads one of Linux's clocks but those of CPU time, in ns; ok is false
// for a number that there is none of.
//
//go:nosplit
func Clock(id uint64) (ns int64, ok bool) {
	switch {
	case id > clockLast:
	case clocksRealtime>>id&1 != 0:
		return Realtime(), true
	case clocksMonotonic>>id&1 != 0:
		return Now(), true
	}
	return 0, false
}

func clockGettimePC() uintptr
func callClockGettime(clock int32, ts *[2]int64) int64

// ClockGettime is the address of the function behind __vdso_clock_gettime.
//
//go:nosplit
func ClockGettime() uintptr { return clockGettimePC() }
