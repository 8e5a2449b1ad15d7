// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"sync"
	"time"

	"github.com/hvgo/hvgo/host/kvm"
)

// RTCPort is the first of the real-time clock's two I/O ports: index, data.
const RTCPort = 0x70

// RTCCentury is the register of the century, which the FADT names (ACPI 5.2.9).
const RTCCentury = 0x32

// Registers of an MC146818A (its data sheet, "Address Map") and their bits.
const (
	rtcSeconds, rtcMinutes, rtcHours          = 0, 2, 4
	rtcWeekday, rtcDay, rtcMonth, rtcYear     = 6, 7, 8, 9
	rtcStatusA, rtcStatusB, rtcStatusC, rtcSD = 10, 11, 12, 13

	rtcUpdating = 1 << 7 // A: the time is about to change
	rtcDivider  = 0x26   // A: 32.768 kHz, 1024 Hz
	rtc24Hours  = 1 << 1 // B
	rtcValid    = 1 << 7 // D: the battery is good

	rtcRegisters = 128
	// rtcUpdate is how long before a second's end A says so: the data sheet promises
	// a reader 244 us, and one who leaves the machine for each register needs more.
	rtcUpdate = 5 * time.Millisecond
)

// rtc is the real-time clock of a PC, in UTC. It has no interrupts, and a guest
// cannot set it: it is the host's clock.
type rtc struct {
	now func() time.Time

	mu    sync.Mutex // guards all below
	index byte
	ram   [rtcRegisters]byte // what the guest keeps there
}

// AddRTC gives the VM a real-time clock; before Run.
func (m *VM) AddRTC() error {
	return m.HandlePorts("RTC", RTCPort, RTCPort+1, &rtc{now: time.Now})
}

// PortIO serves an access of the guest. The index cannot be read back.
func (r *rtc) PortIO(_ *VCPU, x kvm.IO) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range x.Data {
		switch {
		case x.Port == RTCPort && !x.In:
			r.index = x.Data[i] % rtcRegisters // bit 7 holds NMIs off
		case x.Port != RTCPort && x.In:
			x.Data[i] = r.read()
		case x.Port != RTCPort:
			r.ram[r.index] = x.Data[i]
		}
	}
}

// read reads the register of the index.
func (r *rtc) read() byte {
	t := r.now().UTC()
	switch r.index {
	case rtcSeconds:
		return bcd(t.Second())
	case rtcMinutes:
		return bcd(t.Minute())
	case rtcHours:
		return bcd(t.Hour())
	case rtcWeekday:
		return bcd(int(t.Weekday()) + 1)
	case rtcDay:
		return bcd(t.Day())
	case rtcMonth:
		return bcd(int(t.Month()))
	case rtcYear:
		return bcd(t.Year() % 100)
	case RTCCentury:
		return bcd(t.Year() / 100 % 100)
	case rtcStatusA:
		if time.Duration(t.Nanosecond()) > time.Second-rtcUpdate {
			return rtcUpdating | rtcDivider
		}
		return rtcDivider
	case rtcStatusB:
		return rtc24Hours // and BCD
	case rtcStatusC:
		return 0
	case rtcSD:
		return rtcValid
	}
	return r.ram[r.index]
}

func bcd(v int) byte { return byte(v/10<<4 | v%10) }
