// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package tlfs

import (
	"testing"
	"unsafe"
)

// startVPGolden is startVPExample by hand: each field has a value of its own.
const startVPGolden = "ffffffffffffffff 07000000 01 000003" +
	"0100000000000000 0200000000000000 0300000000000000" +
	"1000000000000000 11000000 1200 1300" + "2000000000000000 21000000 2200 2300" +
	"3000000000000000 31000000 3200 3300" + "4000000000000000 41000000 4200 4300" +
	"5000000000000000 51000000 5200 5300" + "6000000000000000 61000000 6200 6300" +
	"7000000000000000 71000000 7200 7300" + "8000000000000000 81000000 8200 8300" +
	"000000000000 9100 9000000000000000" + "000000000000 a100 a000000000000000" +
	"b000000000000000 c000000000000000 c300000000000000 c400000000000000 d000000000000000"

func startVPExample() StartVPInput {
	seg := func(n uint16) Segment { return Segment{uint64(n), uint32(n) + 1, n + 2, n + 3} }
	return StartVPInput{
		Partition: PartitionSelf, VPIndex: 7, TargetVTL: 1, Reserved: [3]uint8{2: 3},
		Context: InitialVPContext{
			RIP: 1, RSP: 2, RFlags: 3,
			CS: seg(0x10), DS: seg(0x20), ES: seg(0x30), FS: seg(0x40), GS: seg(0x50), SS: seg(0x60), TR: seg(0x70), LDTR: seg(0x80),
			IDTR: Table{Limit: 0x91, Base: 0x90}, GDTR: Table{Limit: 0xA1, Base: 0xA0},
			EFER: 0xB0, CR0: 0xC0, CR3: 0xC3, CR4: 0xC4, PAT: 0xD0,
		},
	}
}

// Sizes and offsets as in OpenVMM's hvdef: a guest may write the structs in place.
func TestStartVPLayout(t *testing.T) {
	var c InitialVPContext
	var s StartVPInput
	for _, l := range []struct {
		name      string
		got, want uintptr
	}{
		{"Segment", unsafe.Sizeof(c.CS), SegmentSize},
		{"Table", unsafe.Sizeof(c.IDTR), TableSize},
		{"Table.Limit", unsafe.Offsetof(c.IDTR.Limit), 6},
		{"InitialVPContext", unsafe.Sizeof(c), InitialVPContextSize},
		{"CS", unsafe.Offsetof(c.CS), 24},
		{"SS", unsafe.Offsetof(c.SS), 104},
		{"TR", unsafe.Offsetof(c.TR), 120},
		{"IDTR", unsafe.Offsetof(c.IDTR), 152},
		{"EFER", unsafe.Offsetof(c.EFER), 184},
		{"PAT", unsafe.Offsetof(c.PAT), 216},
		{"StartVPInput", unsafe.Sizeof(s), StartVPInputSize},
		{"Context", unsafe.Offsetof(s.Context), 16},
		{"VPIndexInput", unsafe.Sizeof(VPIndexInput{}), VPIndexInputSize},
	} {
		if l.got != l.want {
			t.Errorf("%s: %d, want %d", l.name, l.got, l.want)
		}
	}
}
