// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/drivers/netvsc"
	guest "github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/host/netvsp"
	host "github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/loopback"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

var discard = slog.New(slog.DiscardHandler)

// network keeps the guest's frames.
type network struct {
	mu     sync.Mutex
	cond   sync.Cond
	frames []string
	rooms  int
}

func newNetwork() *network {
	n := &network{}
	n.cond.L = &n.mu
	return n
}

func (n *network) Transmit(f []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.frames = append(n.frames, string(f))
	n.cond.Broadcast()
}

func (n *network) Room() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rooms++
	n.cond.Broadcast()
}

// until waits for ok, which is called with mu held.
func (n *network) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	stop := time.AfterFunc(20*time.Second, func() { n.mu.Lock(); n.cond.Broadcast(); n.mu.Unlock() })
	defer stop.Stop()
	end := time.Now().Add(20 * time.Second)
	n.mu.Lock()
	defer n.mu.Unlock()
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("%s: does not happen", what)
		}
		n.cond.Wait()
	}
}

// sink is the guest's network stack: it keeps frames.
type sink struct {
	network
	checked int
	links   []bool
}

func (s *sink) start(t testing.TB, n *netvsc.NIC) {
	s.cond.L = &s.mu
	with := func(f func()) {
		s.mu.Lock()
		defer s.mu.Unlock()
		f()
		s.cond.Broadcast()
	}
	err := n.Start(func(f []byte, checked bool) {
		with(func() {
			s.frames = append(s.frames, string(f))
			if checked {
				s.checked++
			}
		})
	}, func() {}, s.Room, func(up bool) { with(func() { s.links = append(s.links, up) }) })
	if err != nil {
		t.Fatal(err)
	}
}

// rig is a card with a guest's driver on it.
type rig struct {
	m    *loopback.Machine
	net  *network
	card *netvsp.NIC
	bus  *guest.Bus
	nic  *netvsc.NIC
	sink sink
}

func newRig(t testing.TB, opt netvsp.Options, lo loopback.Options, guestOpt netvsc.Options) *rig {
	t.Helper()
	r := newBareRig(t, opt, lo)
	if err := r.attach(guestOpt); err != nil {
		t.Fatal(err)
	}
	r.sink.start(t, r.nic)
	return r
}

// newBareRig is a rig whose card is not opened yet.
func newBareRig(t testing.TB, opt netvsp.Options, lo loopback.Options) *rig {
	t.Helper()
	r := &rig{net: newNetwork()}
	opt.Network = r.net
	var err error
	if r.card, err = netvsp.New(opt); err != nil {
		t.Fatal(err)
	}
	if lo.Host.Log == nil {
		lo.Host.Log = discard
	}
	r.m = loopback.New(t, lo)
	r.m.Server.AddDevice(r.card)
	if r.bus, err = guest.Connect(r.m.Guest, discard); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) attach(o netvsc.Options) (err error) {
	offers := r.bus.Find(wire.InterfaceNetwork)
	if len(offers) != 1 {
		return fmt.Errorf("%d offers", len(offers))
	}
	o.Log = discard
	r.nic, err = netvsc.Attach(r.m.Guest, r.bus, offers[0], o)
	return err
}

// fromGuest is a frame of the guest's with a text.
func (r *rig) fromGuest(text string) []byte {
	mac := r.card.MAC()
	f := append([]byte{2, 0, 0, 0, 0, 9}, mac[:]...)
	return append(append(f, 0x88, 0xB5), text...) // local experimental EtherType
}

// toGuest is a frame for the guest.
func (r *rig) toGuest(text string) []byte {
	mac := r.card.MAC()
	f := append(slices.Clone(mac[:]), 2, 0, 0, 0, 0, 9)
	return append(append(f, 0x88, 0xB5), text...)
}

// transmit sends a frame and waits for room if need be.
func (r *rig) transmit(t testing.TB, f []byte) {
	t.Helper()
	for {
		r.sink.mu.Lock()
		rooms := r.sink.rooms
		r.sink.mu.Unlock()
		ok, err := r.nic.Transmit([][]byte{f}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return
		}
		r.sink.until(t, "room", func() bool { return r.sink.rooms > rooms })
	}
}

// deliver gives the guest a frame and waits for room if need be.
func (r *rig) deliver(t testing.TB, f []byte) {
	t.Helper()
	for {
		r.net.mu.Lock()
		rooms := r.net.rooms
		r.net.mu.Unlock()
		if r.card.Deliver(f, false) {
			return
		}
		r.net.until(t, "room", func() bool { return r.net.rooms > rooms })
	}
}

// The guest's driver with all versions, frames both ways in order.
func TestVersions(t *testing.T) {
	for _, max := range []wire.Version{wire.Version2_4, wire.Version4_0, wire.Version6_0} {
		for _, v := range []nvsp.Version{nvsp.Version1, nvsp.Version2, nvsp.Version4, nvsp.Version5, nvsp.Version6, nvsp.Version61} {
			t.Run(fmt.Sprint(max, " ", v), func(t *testing.T) {
				r := newRig(t, netvsp.Options{MaxVersion: v}, loopback.Options{Host: host.Options{MaxVersion: max}}, netvsc.Options{})
				if r.nic.Version() != v || r.nic.MAC() != r.card.MAC() || !r.nic.LinkUp() || r.nic.MTU() != 1500 {
					t.Errorf("version %v, MAC %x, link %t, MTU %d", r.nic.Version(), r.nic.MAC(), r.nic.LinkUp(), r.nic.MTU())
				}
				r.exchange(t, 500)
				if err := r.nic.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// exchange sends frames both ways at once, some of full size.
func (r *rig) exchange(t *testing.T, count int) {
	t.Helper()
	text := func(i int) string {
		s := fmt.Sprint("frame", i)
		if i%7 == 0 {
			s += strings.Repeat("x", r.nic.MTU()-len(s))
		}
		return s
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range count {
			r.deliver(t, r.toGuest(text(i)))
		}
	})
	for i := range count {
		r.transmit(t, r.fromGuest(text(i)))
	}
	r.nic.Flush()
	wg.Wait()
	r.net.until(t, "all frames at the network", func() bool { return len(r.net.frames) >= count })
	r.sink.until(t, "all frames at the guest", func() bool { return len(r.sink.frames) >= count })
	for i := range count {
		if r.net.frames[i] != string(r.fromGuest(text(i))) {
			t.Fatalf("frame %d from the guest is %.40q", i, r.net.frames[i])
		}
		if r.sink.frames[i] != string(r.toGuest(text(i))) {
			t.Fatalf("frame %d to the guest is %.40q", i, r.sink.frames[i])
		}
	}
	if s := r.nic.Stats(); s.HostErrors != 0 || s.TxRefused != 0 || s.RxDropped != 0 {
		t.Errorf("guest: %+v", s)
	}
	if s := r.card.Stats(); s.ToGuest != uint64(count) || s.FromGuest != uint64(count) || s.FromGuestBad+s.ToGuestBad+s.ToGuestDown+s.ToGuestRejected != 0 {
		t.Errorf("card: %+v", s)
	}
}
