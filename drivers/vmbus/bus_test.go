// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"errors"
	"slices"
	"testing"
	"time"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

func TestNegotiation(t *testing.T) {
	for i, v := range versions {
		h := newFakeHost(t)
		h.max, h.only1 = v, v < wire.Version5_0
		if v < wire.Version6_0 {
			h.respSize = wire.VersionResponseSize
		}
		b := mustConnect(h)
		want := uint32(wire.ConnectionMessages)
		if v >= wire.Version5_0 {
			want = h.connID
		}
		if b.Version() != v || b.connection != want {
			t.Errorf("host with %v: version %v, connection %d, want %d", v, b.Version(), b.connection, want)
		}
		if last := h.conns[len(h.conns)-1]; last != want {
			t.Errorf("host with %v: offers requested on connection %d, want %d", v, last, want)
		}
		contacts := len(slices.DeleteFunc(h.posted, func(m wire.MessageType) bool { return m != wire.MsgInitiateContact }))
		tries := i + 1
		if h.only1 {
			tries -= slices.Index(versions, wire.Version4_1)
		}
		if contacts != tries {
			t.Errorf("host with %v: %d contacts accepted, want %d", v, contacts, tries)
		}
	}
}

// A host of version 4.0 answers with ten bytes and padding.
func TestShortVersionResponse(t *testing.T) {
	h := newFakeHost(t)
	h.max, h.only1, h.respSize = wire.Version4_0, true, wire.VersionResponseMinSize
	if b := mustConnect(h); b.Version() != wire.Version4_0 {
		t.Error(b.Version())
	}
}

func TestNoVersion(t *testing.T) {
	h := newFakeHost(t)
	h.max = 0
	if _, err := connect(h, quiet(), testTiming); !errors.Is(err, ErrNoVersion) {
		t.Error(err)
	}
	h = newFakeHost(t)
	h.post = func(msg []byte) (bool, error) {
		h.say(wire.VersionResponse{Supported: true, State: wire.ConnectionFailedLowResources}.AppendTo(nil, 16))
		return true, nil
	}
	if _, err := connect(h, quiet(), testTiming); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
}

// A host that answers nothing to one kind of message makes the call fail, and
// pages that it might still write to are not freed.
func TestSilentHost(t *testing.T) {
	fast := testTiming
	fast.answer = 20 * time.Millisecond
	for _, mute := range []wire.MessageType{wire.MsgInitiateContact, wire.MsgRequestOffers, wire.MsgGPADLHeader,
		wire.MsgOpenChannel, wire.MsgGPADLTeardown, wire.MsgUnload} {
		h := newFakeHost(t)
		h.post = func(msg []byte) (bool, error) {
			typ, _ := wire.DecodeType(msg)
			return typ == mute, nil
		}
		b, err := connect(h, quiet(), fast)
		if mute == wire.MsgInitiateContact || mute == wire.MsgRequestOffers {
			if !errors.Is(err, ErrTimeout) {
				t.Errorf("no answer to %v: %v", mute, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.Open(3, OpenOptions{SendPages: 2, ReceivePages: 2})
		switch mute {
		case wire.MsgGPADLHeader, wire.MsgOpenChannel:
			if !errors.Is(err, ErrTimeout) {
				t.Errorf("no answer to %v: %v", mute, err)
			}
			if freed := h.freed != 0; freed != (mute == wire.MsgOpenChannel) {
				t.Errorf("no answer to %v: %d pages freed", mute, h.freed)
			}
		case wire.MsgGPADLTeardown:
			if err := c.Close(); !errors.Is(err, ErrTimeout) || h.freed != 0 {
				t.Errorf("no answer to %v: %v, %d pages freed", mute, err, h.freed)
			}
		case wire.MsgUnload:
			if err := b.Unload(); !errors.Is(err, ErrTimeout) || b.Err() == nil {
				t.Errorf("no answer to %v: %v", mute, err)
			}
		}
	}
}

// An answer that cannot be read says nothing about what the host did: pages of
// a GPADL are kept, and a channel that may be open is closed before its GPADL is
// torn down. (dispatch drops such messages; so this goes around it.)
func TestUnreadableAnswers(t *testing.T) {
	for _, spoil := range []wire.MessageType{wire.MsgGPADLHeader, wire.MsgOpenChannel} {
		h := newFakeHost(t)
		b := mustConnect(h)
		h.post = func(msg []byte) (bool, error) {
			typ, _ := wire.DecodeType(msg)
			if typ != spoil {
				return false, nil
			}
			if m, err := wire.DecodeOpenChannel(msg); err == nil {
				b.answer(requestKey{wire.MsgOpenChannelResult, m.ChannelID, m.OpenID}, wire.AppendHeader(nil, wire.MsgOpenChannelResult))
			} else if m, err := wire.DecodeGPADLHeader(msg); err == nil {
				b.answer(requestKey{wire.MsgGPADLCreated, m.ChannelID, uint32(m.GPADLID)}, wire.AppendHeader(nil, wire.MsgGPADLCreated))
			}
			return true, nil
		}
		_, err := b.Open(3, OpenOptions{SendPages: 2, ReceivePages: 2})
		if err == nil || errors.Is(err, ErrTimeout) {
			t.Errorf("unreadable answer to %v: %v", spoil, err)
		}
		h.mu.Lock()
		posted, freed := h.posted, h.freed
		h.mu.Unlock()
		if spoil == wire.MsgGPADLHeader {
			if MayFree(err) || freed != 0 {
				t.Errorf("unreadable answer to %v: MayFree %v, %d pages freed", spoil, MayFree(err), freed)
			}
			continue
		}
		want := []wire.MessageType{wire.MsgCloseChannel, wire.MsgGPADLTeardown}
		if len(posted) < 2 || !slices.Equal(posted[len(posted)-2:], want) || freed != 4 {
			t.Errorf("unreadable answer to %v: guest posts %v, %d pages freed", spoil, posted, freed)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, refuse := range []wire.MessageType{wire.MsgGPADLHeader, wire.MsgOpenChannel} {
		h := newFakeHost(t)
		h.post = func(msg []byte) (bool, error) {
			typ, _ := wire.DecodeType(msg)
			switch {
			case typ != refuse:
				return false, nil
			case typ == wire.MsgGPADLHeader:
				m, _ := wire.DecodeGPADLHeader(msg)
				h.say(wire.GPADLCreated{ChannelID: 3, GPADLID: m.GPADLID, Status: wire.StatusUnsuccessful}.AppendTo(nil))
			default:
				m, _ := wire.DecodeOpenChannel(msg)
				h.say(wire.OpenResult{ChannelID: 3, OpenID: m.OpenID, Status: wire.StatusUnsuccessful}.AppendTo(nil))
			}
			return true, nil
		}
		b := mustConnect(h)
		_, err := b.Open(3, OpenOptions{SendPages: 2, ReceivePages: 2})
		if !errors.Is(err, ErrRefused) || h.freed != 4 {
			t.Errorf("%v refused: %v, %d pages freed", refuse, err, h.freed)
		}
		h.post = nil
		mustOpen(b, 2).Close() // the offer can be tried again
	}
}

func TestBusyHost(t *testing.T) {
	h := newFakeHost(t)
	n := 0
	h.post = func([]byte) (bool, error) {
		switch n++; n {
		case 1, 2, 4:
			return false, ErrBusy
		case 5: // Hyper-V says so too when messages come too fast
			return false, ErrNoConnection
		}
		return false, nil
	}
	b := mustConnect(h)
	if s := b.Stats(); s.PostRetries != 4 || s.Posts != 6 {
		t.Errorf("%+v", s)
	}
	b.t.post = time.Millisecond
	h.post = func([]byte) (bool, error) { return false, ErrBusy }
	if _, err := b.Open(3, OpenOptions{SendPages: 2, ReceivePages: 2}); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
}

func TestGPADLMessages(t *testing.T) {
	h := newFakeHost(t)
	b := mustConnect(h)
	for _, n := range []int{1, 26, 27, 54, 55, 83, 1000, maxGPADLPages} {
		pfns := make([]uint64, n)
		for i := range pfns {
			pfns[i] = uint64(i)*7 + 1<<40
		}
		g, err := b.newGPADL(3, pfns)
		if err != nil {
			t.Fatal(err)
		}
		l := h.lists[g.ID]
		if !slices.Equal(l.pfns(), pfns) {
			t.Errorf("%d pages arrive as %d", n, len(l.pfns()))
		}
		if r, err := wire.DecodeGPARange(l.data); err != nil || r != (wire.GPARange{ByteCount: uint32(n) * PageSize}) {
			t.Errorf("range %+v, %v", r, err)
		}
		if err := g.Teardown(); err != nil {
			t.Error(err)
		}
	}
	for _, n := range []int{0, maxGPADLPages + 1} {
		if _, err := b.newGPADL(3, make([]uint64, n)); err == nil {
			t.Errorf("GPADL of %d pages is accepted", n)
		}
	}
}

func TestOffersAndRescind(t *testing.T) {
	h := newFakeHost(t)
	h.offers = append(h.offers, Offer{InterfaceID: wire.InterfaceNetwork, InstanceID: testInstance(), ChannelID: 2})
	b := mustConnect(h)
	if o := b.Offers(); len(o) != 2 || o[0].ChannelID != 2 || o[0].InstanceID != testInstance() {
		t.Fatalf("offers %+v", o)
	}
	if o := b.Find(wire.InterfaceSCSI); len(o) != 1 || o[0] != h.offers[0] {
		t.Errorf("SCSI offers %+v", o)
	}
	w := b.Watch()
	defer w.Stop()
	<-w.C
	released := make(chan wire.ChannelID, 10)
	h.post = func(msg []byte) (bool, error) {
		if m, err := wire.DecodeChannelMessage(msg, wire.MsgRelIDReleased); err == nil {
			released <- m.ChannelID
			return true, nil
		}
		return false, nil
	}
	hot := Offer{InterfaceID: wire.InterfaceNetwork, ChannelID: 9}
	for _, bad := range []wire.ChannelID{0, 2048, 0xFFFFFFFF, 2} {
		o := hot
		o.ChannelID = bad
		h.say(o.AppendTo(nil))
	}
	h.say(hot.AppendTo(nil))
	<-w.C
	if o := b.Offers(); len(o) != 3 || o[2].ChannelID != 9 {
		t.Errorf("offers after hot add %+v", o)
	}
	h.say(wire.ChannelMessage{Type: wire.MsgRescindChannelOffer, ChannelID: 77}.AppendTo(nil))
	h.say(wire.ChannelMessage{Type: wire.MsgRescindChannelOffer, ChannelID: 9}.AppendTo(nil))
	if id := <-released; id != 9 {
		t.Errorf("channel %d released", id)
	}
	<-w.C
	if _, err := b.Open(9, OpenOptions{SendPages: 2, ReceivePages: 2}); !errors.Is(err, ErrRescinded) {
		t.Error(err)
	}
	h.say(hot.AppendTo(nil)) // the id may be used again now
	<-w.C
	if len(b.Offers()) != 3 {
		t.Error("id is not free for a new offer")
	}
}

func TestRescindOpenChannel(t *testing.T) {
	h := newFakeHost(t)
	b := mustConnect(h)
	c := mustOpen(b, 2)
	served := make(chan error)
	go func() { served <- c.Serve(func([]Packet) error { return nil }) }()
	h.say(wire.ChannelMessage{Type: wire.MsgRescindChannelOffer, ChannelID: 3}.AppendTo(nil))
	if err := <-served; !errors.Is(err, ErrRescinded) {
		t.Error(err)
	}
	if err := c.SendInBand(nil, 1, false); !errors.Is(err, ErrRescinded) {
		t.Error(err)
	}
	released := make(chan struct{})
	h.post = func(msg []byte) (bool, error) {
		typ, _ := wire.DecodeType(msg)
		if typ == wire.MsgRelIDReleased {
			close(released)
		} else {
			t.Errorf("%v after a rescind", typ)
		}
		return true, nil
	}
	if err := c.Close(); err != nil || h.freed != 4 {
		t.Errorf("%v, %d pages freed", err, h.freed)
	}
	<-released
}

// A rescind while Open waits ends the wait.
func TestRescindWhileOpening(t *testing.T) {
	for _, at := range []wire.MessageType{wire.MsgGPADLHeader, wire.MsgOpenChannel} {
		h := newFakeHost(t)
		h.post = func(msg []byte) (bool, error) {
			if typ, _ := wire.DecodeType(msg); typ == at {
				h.say(wire.ChannelMessage{Type: wire.MsgRescindChannelOffer, ChannelID: 3}.AppendTo(nil))
				return true, nil
			}
			return false, nil
		}
		b := mustConnect(h)
		if _, err := b.Open(3, OpenOptions{SendPages: 2, ReceivePages: 2}); !errors.Is(err, ErrRescinded) || h.freed != 4 {
			t.Errorf("at %v: %v, %d pages freed", at, err, h.freed)
		}
	}
}

// TestNothingAfterUnload: who opens a channel while UNLOAD waits for its answer gets
// ErrClosed, and the host no message.
func TestNothingAfterUnload(t *testing.T) {
	h := newFakeHost(t)
	b, err := connect(h, quiet(), testTiming)
	if err != nil {
		t.Fatal(err)
	}
	posted := make(chan struct{})
	h.post = func(msg []byte) (bool, error) {
		typ, _ := wire.DecodeType(msg)
		if typ != wire.MsgUnload {
			t.Errorf("%v behind UNLOAD", typ)
		}
		close(posted)
		return true, nil // answered later
	}
	done := make(chan error, 1)
	go func() { done <- b.Unload() }()
	<-posted
	if _, err := b.Open(3, OpenOptions{SendPages: 2, ReceivePages: 2}); !errors.Is(err, ErrClosed) {
		t.Errorf("open: %v", err)
	}
	h.say(wire.AppendHeader(nil, wire.MsgUnloadComplete))
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestUnload(t *testing.T) {
	h := newFakeHost(t)
	b, err := connect(h, quiet(), testTiming)
	if err != nil {
		t.Fatal(err)
	}
	h.say(wire.AppendHeader(nil, wire.MsgUnloadComplete)) // not asked for: ignored
	c := mustOpen(b, 2)
	if err := b.Unload(); err != nil {
		t.Error(err)
	}
	<-b.ended
	if !errors.Is(c.Err(), ErrClosed) || !errors.Is(b.Err(), ErrClosed) {
		t.Error(c.Err(), b.Err())
	}
	if _, err := b.Open(3, OpenOptions{SendPages: 2, ReceivePages: 2}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestUnknownMessages(t *testing.T) {
	h := newFakeHost(t)
	b := mustConnect(h)
	before := b.Stats().Skipped
	for _, msg := range [][]byte{nil, {1, 2, 3}, make([]byte, 8), {99, 0, 0, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0, 0, 0},
		wire.AppendHeader(nil, wire.MsgPauseResponse), wire.OpenResult{ChannelID: 5}.AppendTo(nil)} {
		h.say(msg)
	}
	mustOpen(b, 2).Close() // comes after them
	if n := b.Stats().Skipped - before; n != 7 {
		t.Errorf("%d messages skipped", n)
	}
}

func TestBusEnds(t *testing.T) {
	h := newFakeHost(t)
	b, err := connect(h, quiet(), testTiming)
	if err != nil {
		t.Fatal(err)
	}
	c := mustOpen(b, 2)
	w := b.Watch()
	<-w.C
	close(h.toGuest)
	<-b.Done()
	<-c.Done()
	<-w.C
	if err := c.Serve(nil); err == nil {
		t.Error("Serve works on a dead bus")
	}
	c.Close()
	if h.freed != 0 {
		t.Error("pages freed though the host was not told")
	}
}

func TestOpenTwice(t *testing.T) {
	h := newFakeHost(t)
	b := mustConnect(h)
	c := mustOpen(b, 2)
	if _, err := b.Open(3, OpenOptions{SendPages: 2, ReceivePages: 2}); err == nil {
		t.Error("opened twice")
	}
	if _, err := b.Open(3, OpenOptions{}); err == nil {
		t.Error("opened without rings")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	mustOpen(b, 2).Close()
}

// TestGPADLHalfPosted is a host that takes a GPADL's header and refuses the rest.
func TestGPADLHalfPosted(t *testing.T) {
	refusal := errors.New("refused")
	for _, refused := range []wire.MessageType{wire.MsgGPADLHeader, wire.MsgGPADLBody} {
		h := newFakeHost(t)
		b := mustConnect(h)
		h.post = func(msg []byte) (bool, error) {
			if typ, err := wire.DecodeType(msg); err == nil && typ == refused {
				return true, refusal
			}
			return false, nil
		}
		_, err := b.Open(3, OpenOptions{SendPages: 32, ReceivePages: 32}) // more than a header holds
		if !errors.Is(err, refusal) {
			t.Fatalf("%v refused: Open says %v", refused, err)
		}
		h.mu.Lock()
		freed := h.freed
		h.mu.Unlock()
		if free := refused == wire.MsgGPADLHeader; MayFree(err) != free || (freed > 0) != free {
			t.Errorf("%v refused: MayFree is %v, %d pages freed", refused, MayFree(err), freed)
		}
	}
}
