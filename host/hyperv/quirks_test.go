// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"bytes"
	"testing"

	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// The guest's page is out of sight while the host's lies over it, and there again
// afterwards; the host's keeps what it held.
func TestOverlay(t *testing.T) {
	mem, err := vmm.NewMemory(32<<20, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	page := func(gpa uint64) []byte {
		b, err := mem.Bytes(gpa, vmm.PageSize)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	filled := func(c byte) []byte { return bytes.Repeat([]byte{c}, vmm.PageSize) }
	const one, two = 0x100000, 0x200000
	copy(page(one), filled(1))
	copy(page(two), filled(2))
	o := newMessages()

	o.set(mem, one|tlfs.OverlayEnable)
	for n := range tlfs.SINTCount {
		slot := page(one)[n*tlfs.MessageSize:]
		if !bytes.Equal(slot[:tlfs.MessagePayloadOffset], make([]byte, tlfs.MessagePayloadOffset)) || slot[tlfs.MessagePayloadOffset] != stale {
			t.Errorf("slot %d starts with % x", n, slot[:32])
		}
	}
	page(one)[5] = 0x77
	o.set(mem, one|tlfs.OverlayEnable) // nothing new
	if page(one)[5] != 0x77 {
		t.Error("the host's page was lost")
	}
	o.set(mem, two|tlfs.OverlayEnable)
	if !bytes.Equal(page(one), filled(1)) || page(two)[5] != 0x77 {
		t.Error("moving the page")
	}
	o.set(mem, two)
	if !bytes.Equal(page(two), filled(2)) {
		t.Error("disabling the page")
	}
	o.set(mem, 1<<40|tlfs.OverlayEnable) // no RAM
	o.set(mem, one|tlfs.OverlayEnable)
	if page(one)[5] != 0x77 {
		t.Error("enabling the page anew")
	}
}
