// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/kvm"
)

func TestRTC(t *testing.T) {
	now := time.Date(2026, 11, 23, 15, 4, 59, 0, time.FixedZone("east", 3600))
	r := &rtc{now: func() time.Time { return now }}
	in := func(reg byte) byte {
		b := []byte{0xFF}
		r.PortIO(nil, kvm.IO{Port: RTCPort, Size: 1, Data: []byte{0x80 | reg}})
		r.PortIO(nil, kvm.IO{In: true, Port: RTCPort + 1, Size: 1, Data: b})
		return b[0]
	}
	for reg, want := range map[byte]byte{
		0: 0x59, 2: 0x04, 4: 0x14, 6: 2, 7: 0x23, 8: 0x11, 9: 0x26, RTCCentury: 0x20, 11: 0x02, 12: 0, 13: 0x80,
	} {
		if got := in(reg); got != want {
			t.Errorf("register %#x is %#x, want %#x", reg, got, want)
		}
	}
	if in(10)&rtcUpdating != 0 {
		t.Error("updating at the start of a second")
	}
	now = now.Add(time.Second - time.Millisecond)
	if in(10)&rtcUpdating == 0 {
		t.Error("not updating before the end of a second")
	}
}

// TestRTCMemory writes every register: those of the clock stay, the others keep.
func TestRTCMemory(t *testing.T) {
	r := &rtc{now: time.Now}
	for reg := range rtcRegisters {
		r.PortIO(nil, kvm.IO{Port: RTCPort, Size: 1, Data: []byte{byte(reg)}})
		r.PortIO(nil, kvm.IO{Port: RTCPort + 1, Size: 1, Data: []byte{0xA5}})
		b := []byte{0}
		r.PortIO(nil, kvm.IO{In: true, Port: RTCPort + 1, Size: 1, Data: b})
		clock := reg <= rtcHours && reg%2 == 0 || reg >= rtcWeekday && reg <= rtcSD || reg == RTCCentury
		if kept := b[0] == 0xA5; kept == clock {
			t.Errorf("register %#x: wrote 0xA5, reads %#x", reg, b[0])
		}
	}
	b := []byte{0}
	r.PortIO(nil, kvm.IO{In: true, Port: RTCPort, Size: 1, Data: b})
	if b[0] != 0 {
		t.Errorf("the index was answered with %#x, not left to the bus", b[0])
	}
}
