// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsp

import (
	"slices"
	"testing"
	"time"

	guest "github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/internal/loopback"
)

// slow is a disk whose reads wait.
type slow struct {
	*ram
	reading, release chan struct{}
}

func (d slow) ReadAt(p []byte, off int64) (int, error) {
	d.reading <- struct{}{}
	<-d.release
	return d.ram.ReadAt(p, off)
}

// TestResetWaits resets the bus on the primary channel while a sub-channel's request is
// under way: the answer comes after that.
func TestResetWaits(t *testing.T) {
	g := newRaw(t, Options{SubChannels: 1}, loopback.Options{})
	d := slow{newRAM(1<<20, 512), make(chan struct{}, 1), make(chan struct{})}
	g.c.AddDisk(0, d)
	g.negotiate("0206")
	w := g.bus.Watch()
	defer w.Stop()
	g.send("0d000000 01000000 00000000 0100", 64, 0)
	for !slices.ContainsFunc(g.bus.Offers(), func(o guest.Offer) bool { return o.SubchannelIndex == 1 }) {
		select {
		case <-w.C:
		case <-time.After(30 * time.Second):
			t.Fatal("no sub-channel")
		}
	}
	const read, reset = 1000, 1001
	packet := unhex(t, srb(0, 1, 512, "28 00 00000005 00 0001 00"))
	packet = append(packet, make([]byte, max(0, 64-len(packet)))...)
	if err := g.open(1).SendGPADirect([]guest.Range{{Length: 512, PFN: g.buffer.PFN[:1]}}, packet, read); err != nil {
		t.Fatal(err)
	}
	<-d.reading
	if err := g.ch.SendInBand(append(unhex(t, "06000000 01000000"), make([]byte, 56)...), reset, true); err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-g.answers:
		t.Errorf("transaction %d is answered before the read", p.Transaction)
		g.answers <- p
	case <-time.After(50 * time.Millisecond):
	}
	close(d.release)
	got := []uint64{g.answer().Transaction, g.answer().Transaction}
	slices.Sort(got)
	if !slices.Equal(got, []uint64{read, reset}) {
		t.Errorf("transactions %d", got)
	}
}
