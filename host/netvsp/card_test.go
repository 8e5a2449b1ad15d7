// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hvgo/hvgo/drivers/netvsc"
	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/internal/loopback"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Frame sizes, slot sizes, packing: all must carry frames both ways.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name  string
		card  netvsp.Options
		guest netvsc.Options
		mtu   int
	}{
		{"Hyper-V's slots", netvsp.Options{SlotSize: 1728}, netvsc.Options{}, 1500},
		{"large frames", netvsp.Options{MTU: 9000, SlotSize: 1728}, netvsc.Options{MTU: 9000}, 9000},
		{"guest wants more", netvsp.Options{}, netvsc.Options{MTU: 9000}, 1500},
		{"guest wants less", netvsp.Options{MTU: 9000}, netvsc.Options{}, 1500},
		{"small network", netvsp.Options{MTU: 1280}, netvsc.Options{}, 1280},
		{"small buffers", netvsp.Options{Queue: 2}, netvsc.Options{ReceiveBuffer: 8 << 10, SendBuffer: 6144}, 1500},
		{"no offload", netvsp.Options{NoTxChecksum: true, NoRxChecksum: true}, netvsc.Options{}, 1500},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.card, loopback.Options{}, c.guest)
			if r.nic.MTU() != c.mtu {
				t.Errorf("MTU %d, want %d", r.nic.MTU(), c.mtu)
			}
			if r.nic.TxChecksum() == c.card.NoTxChecksum {
				t.Errorf("checksum offload %t", r.nic.TxChecksum())
			}
			r.exchange(t, 300)
		})
	}
}

// gate lets a guest's receiver stand still.
type gate struct{ open chan struct{} }

// While the guest does not take frames, Deliver refuses and nothing is lost; frames
// that wait share transfers.
func TestBackPressure(t *testing.T) {
	for _, pack := range []bool{false, true} {
		t.Run(fmt.Sprint("pack ", pack), func(t *testing.T) {
			r := newBareRig(t, netvsp.Options{Queue: 64, Pack: pack, SlotSize: 8192}, loopback.Options{})
			if err := r.attach(netvsc.Options{ReceiveBuffer: 32 * 8192}); err != nil {
				t.Fatal(err)
			}
			g := gate{make(chan struct{})}
			r.sink.cond.L = &r.sink.mu
			if err := r.nic.Start(func(f []byte, _ bool) {
				<-g.open
				r.sink.Transmit(f)
			}, func() {}, func() {}, func(bool) {}); err != nil {
				t.Fatal(err)
			}
			sent := 0
			for r.card.Deliver(r.toGuest(fmt.Sprint(sent)), false) {
				if sent++; sent > 10000 {
					t.Fatal("a card without limit")
				}
			}
			if r.card.Stats().ToGuestRefused != 1 {
				t.Errorf("%+v", r.card.Stats())
			}
			close(g.open)
			for ; sent < 2000; sent++ {
				r.deliver(t, r.toGuest(fmt.Sprint(sent)))
			}
			r.sink.until(t, "all frames", func() bool { return len(r.sink.frames) == sent })
			for i, f := range r.sink.frames {
				if f != string(r.toGuest(fmt.Sprint(i))) {
					t.Fatalf("frame %d is %q", i, f)
				}
			}
			s := r.card.Stats()
			if s.ToGuestTransfers >= s.ToGuest/2 || s.ToGuest != uint64(sent) || s.ToGuestRejected != 0 {
				t.Errorf("%+v", s)
			}
			if st := r.nic.Stats(); st.RxPackets != uint64(sent) || st.RxDropped+st.HostErrors != 0 {
				t.Errorf("guest: %+v", st)
			}
		})
	}
}

func TestLink(t *testing.T) {
	r := newRig(t, netvsp.Options{}, loopback.Options{}, netvsc.Options{})
	links := func(want string) func() bool { return func() bool { return fmt.Sprint(r.sink.links) == want } }
	r.card.SetLink(false)
	r.card.SetLink(false) // no change, no word
	r.sink.until(t, "cable out", links("[false]"))
	if r.nic.LinkUp() || !r.card.Deliver(r.toGuest("x"), false) {
		t.Error("a link without cable")
	}
	r.transmit(t, r.fromGuest("x"))
	r.nic.Flush()
	for end := time.Now().Add(20 * time.Second); r.card.Stats().FromGuestDown == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	r.card.SetLink(true)
	r.sink.until(t, "cable in", links("[false true]"))
	r.transmit(t, r.fromGuest("y"))
	r.nic.Flush()
	r.net.until(t, "a frame", func() bool { return len(r.net.frames) == 1 })
	if r.net.frames[0] != string(r.fromGuest("y")) {
		t.Errorf("%q", r.net.frames)
	}
	if s := r.card.Stats(); s.ToGuestDown != 1 || s.FromGuestDown != 1 {
		t.Errorf("%+v", s)
	}
}

func TestNoLink(t *testing.T) {
	r := newBareRig(t, netvsp.Options{}, loopback.Options{})
	r.card.SetFaults(netvsp.Faults{NoLink: true})
	if err := r.attach(netvsc.Options{}); err != nil {
		t.Fatal(err)
	}
	if r.nic.LinkUp() {
		t.Error("the guest sees a cable")
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults netvsp.Faults
		want   nvsp.Version // 0: the guest gives up
	}{
		{"newer than 4", netvsp.Faults{Refuse: func(v nvsp.Version) bool { return v > nvsp.Version4 }}, nvsp.Version4},
		{"all but one", netvsp.Faults{Refuse: func(v nvsp.Version) bool { return v != nvsp.Version2 }}, nvsp.Version2},
		{"all", netvsp.Faults{Refuse: func(nvsp.Version) bool { return true }}, 0},
		{"receive buffer", netvsp.Faults{RefuseReceiveBuffer: true}, 0},
		{"send buffer", netvsp.Faults{RefuseSendBuffer: true}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newBareRig(t, netvsp.Options{}, loopback.Options{})
			r.card.SetFaults(c.faults)
			err := r.attach(netvsc.Options{})
			switch {
			case c.want == 0 && !errors.Is(err, netvsc.ErrRefused):
				t.Errorf("%v", err)
			case c.want != 0 && (err != nil || r.nic.Version() != c.want):
				t.Errorf("%v", err)
			}
		})
	}
}

// A card that fails at any point of the negotiation leaves a guest with an error, not
// a hanging one.
func TestFailAfter(t *testing.T) {
	worked := false
	for k := 1; !worked; k++ {
		r := newBareRig(t, netvsp.Options{}, loopback.Options{})
		r.card.SetFaults(netvsp.Faults{FailAfter: k})
		err := r.attach(netvsc.Options{Timeout: 20 * time.Millisecond})
		worked = err == nil
		if err != nil && !errors.Is(err, netvsc.ErrTimeout) {
			t.Errorf("after %d packets: %v", k, err)
		}
		if k > 60 {
			t.Fatal("never works")
		}
	}
}

// A card that is taken away, and put back.
func TestRemove(t *testing.T) {
	r := newRig(t, netvsp.Options{}, loopback.Options{}, netvsc.Options{})
	r.exchange(t, 50)
	r.m.Server.RemoveDevice(r.card)
	select {
	case <-r.nic.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the guest does not see it")
	}
	if !r.card.Deliver(r.toGuest("x"), false) || r.card.Stats().ToGuestDown != 1 {
		t.Errorf("%+v", r.card.Stats())
	}
	if err := r.nic.Close(); err != nil {
		t.Log(err) // the channel is gone
	}
}

func TestDrop(t *testing.T) {
	r := newRig(t, netvsp.Options{}, loopback.Options{}, netvsc.Options{})
	r.card.SetFaults(netvsp.Faults{Drop: func(toGuest bool, f []byte) bool { return bytes.HasSuffix(f, []byte("bad")) }})
	for _, text := range []string{"1", "bad", "2"} {
		r.deliver(t, r.toGuest(text))
		r.transmit(t, r.fromGuest(text))
	}
	r.nic.Flush()
	r.net.until(t, "frames", func() bool { return len(r.net.frames) == 2 })
	r.sink.until(t, "frames", func() bool { return len(r.sink.frames) == 2 })
	if s := r.card.Stats(); s.Lost != 2 {
		t.Errorf("%+v", s)
	}
}

// The guest's packet filter, and frames that cannot be right.
func TestFilter(t *testing.T) {
	r := newRig(t, netvsp.Options{}, loopback.Options{}, netvsc.Options{})
	other := r.toGuest("not for you")
	copy(other, []byte{2, 9, 9, 9, 9, 9})
	broadcast := r.toGuest("for all")
	copy(broadcast, []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	for _, f := range [][]byte{other, {1, 2, 3}, r.toGuest(string(make([]byte, 1501))), broadcast} {
		if !r.card.Deliver(f, false) {
			t.Fatal("no room")
		}
	}
	r.sink.until(t, "the last frame", func() bool { return len(r.sink.frames) == 1 })
	if s := r.card.Stats(); r.sink.frames[0] != string(broadcast) || s.ToGuestFiltered != 1 || s.ToGuestBad != 2 {
		t.Errorf("%q %+v", r.sink.frames, s)
	}
}

func TestPcap(t *testing.T) {
	var b bytes.Buffer
	p, err := netvsp.NewPcap(&b)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, netvsp.Options{Pcap: p}, loopback.Options{}, netvsc.Options{})
	r.exchange(t, 2)
	r.m.Server.RemoveDevice(r.card) // no more writes
	got := b.Bytes()
	if want := "d4c3b2a1020004000000000000000000000004000100000"; fmt.Sprintf("%x", got[:24])[:len(want)] != want {
		t.Errorf("header %x", got[:24])
	}
	frames := map[string]bool{}
	for got = got[24:]; len(got) > 0; {
		n := binary.LittleEndian.Uint32(got[8:])
		if binary.LittleEndian.Uint32(got[12:]) != n || binary.LittleEndian.Uint32(got[4:]) >= 1e6 {
			t.Fatalf("record %x", got[:16])
		}
		frames[string(got[16:16+n])] = true
		got = got[16+n:]
	}
	for _, f := range append(r.net.frames, r.sink.frames...) {
		if !frames[f] {
			t.Errorf("frame %.30q is missing", f)
		}
	}
	if len(frames) != 4 || p.Err() != nil {
		t.Errorf("%d frames, %v", len(frames), p.Err())
	}
}

func TestPcapError(t *testing.T) {
	p, err := netvsp.NewPcap(&short{left: 30})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, netvsp.Options{Pcap: p}, loopback.Options{}, netvsc.Options{})
	r.exchange(t, 2) // all the same
	if p.Err() != errShort {
		t.Errorf("%v", p.Err())
	}
}

var errShort = errors.New("disk full")

// short is a writer with little room.
type short struct{ left int }

func (s *short) Write(b []byte) (int, error) {
	if len(b) > s.left {
		return 0, errShort
	}
	s.left -= len(b)
	return len(b), nil
}

func TestOptions(t *testing.T) {
	for _, o := range []netvsp.Options{
		{MAC: [6]byte{1}}, {MTU: 100}, {MTU: 65536}, {Queue: -1}, {SlotSize: -1}, {SlotSize: 1 << 20}, {MaxVersion: 1},
	} {
		if _, err := netvsp.New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	n, err := netvsp.New(netvsp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m := n.MAC(); m[0] != 0 || m[1] != 0x15 || m[2] != 0x5D || n.Offer().Instance.IsZero() || n.Offer().Interface != wire.InterfaceNetwork {
		t.Errorf("%x %+v", m, n.Offer())
	}
}

func BenchmarkFromGuest(b *testing.B) {
	r := newRig(b, netvsp.Options{}, loopback.Options{}, netvsc.Options{})
	f := r.fromGuest(string(make([]byte, 1480)))
	b.SetBytes(int64(len(f)))
	for b.Loop() {
		r.transmit(b, f)
	}
	r.nic.Flush()
}

func BenchmarkToGuest(b *testing.B) {
	r := newRig(b, netvsp.Options{}, loopback.Options{}, netvsc.Options{})
	f := r.toGuest(string(make([]byte, 1480)))
	b.SetBytes(int64(len(f)))
	for b.Loop() {
		r.deliver(b, f)
	}
}
