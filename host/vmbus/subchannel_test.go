// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// subOffer is the offer of a sub-channel of device 0x42, as the guest sees it.
func subOffer(id, index byte) string {
	return squeeze(fmt.Sprintf("0/2 0100000000000000 04030201 0605 0807 090a0b0c0d0e0f10 00000000000000000000000000000042 00000000000000000000000000000000"+
		"1100 0000 04%s %02x00 0000 %02x000000 00 00 0100 %02x200000", strings.Repeat("00", 119), index, id, id))
}

// gpadlOf and openOf are gpadl1 and open1 for another channel, with other pages.
func gpadlOf(channel, gpadl byte) string {
	return fmt.Sprintf("08000000 00000000 %02x000000 %02x000000 2800 0100 00400000 00000000 2000000000000000 2200000000000000 2100000000000000 2300000000000000", channel, gpadl)
}

func openOf(channel, gpadl byte) string {
	return fmt.Sprintf("05000000 00000000 %02x000000 77000000 %02x000000 03000000 02000000", channel, gpadl) + strings.Repeat("00", 120)
}

func channelMessage(kind, channel byte) string {
	return fmt.Sprintf("%02x000000 00000000 %02x000000", kind, channel)
}

const (
	closeMsg, rescindMsg, releaseMsg = 7, 2, 13
)

// expectAll compares what the server sent, in any order.
func expectAll(t *testing.T, sent []string, want ...string) {
	t.Helper()
	slices.Sort(sent)
	slices.Sort(want)
	if !slices.Equal(sent, want) {
		t.Fatalf("sent %v\nwant %v", sent, want)
	}
}

// withSubs returns a guest that has opened channel 1, of which the device has offered
// two sub-channels, and the first of these.
func withSubs(t *testing.T) (v *fakeVM, primary, sub *Channel) {
	t.Helper()
	dev := echo{id: 0x42, manual: make(chan *Channel, 2)}
	v = connected(t, dev, Options{})
	v.post(1, gpadl1, open1("e1000000", "02000000"))
	primary = <-dev.manual
	for _, n := range []int{-1, MaxSubChannels + 1} {
		if primary.OfferSubChannels(n) == nil {
			t.Errorf("%d sub-channels are offered", n)
		}
	}
	if err := primary.OfferSubChannels(2); err != nil {
		t.Fatal(err)
	}
	if primary.OfferSubChannels(1) == nil {
		t.Error("sub-channels are offered a second time")
	}
	sent, rules := v.take()
	expectAll(t, sent, subOffer(2, 1), subOffer(3, 2))
	sent, more := v.post(1, gpadlOf(2, 0xE2), openOf(2, 0xE2))
	expectAll(t, sent, squeeze("0/2 0600000000000000 02000000 77000000 00000000"), squeeze("0/2 0a00000000000000 02000000 e2000000 00000000"))
	if len(rules)+len(more) > 0 {
		t.Fatal(rules, more)
	}
	sub = <-dev.manual
	if sub.SubIndex != 1 || sub.ID() != 2 || sub.OfferSubChannels(1) == nil {
		t.Errorf("sub-channel %d with id %d, which may have others", sub.SubIndex, sub.ID())
	}
	return v, primary, sub
}

// The guest's signals reach the one channel that they name; a sub-channel sees the GPADLs
// of its primary.
func TestSubChannel(t *testing.T) {
	v, primary, sub := withSubs(t)
	v.s.SignalEvent(0x2002, 0)
	if len(sub.readWake) != 1 || len(primary.readWake) != 0 {
		t.Errorf("signals: %d in the sub-channel, %d in the primary", len(sub.readWake), len(primary.readWake))
	}
	g, err := sub.GPADL(0xE1)
	if err != nil {
		t.Error(err)
	}
	g.Release()
	if _, err := primary.GPADL(0xE2); err == nil {
		t.Error("the primary channel has the sub-channel's GPADL")
	}
}

func TestSubChannelEnds(t *testing.T) {
	rescind2, rescind3 := squeeze("0/2 "+channelMessage(rescindMsg, 2)), squeeze("0/2 "+channelMessage(rescindMsg, 3))
	t.Run("close", func(t *testing.T) { // of the primary channel takes the sub-channels along
		v, _, sub := withSubs(t)
		sent, rules := v.post(1, closeCh1)
		expectAll(t, sent, rescind2, rescind3)
		<-sub.done
		sent, more := v.post(1, channelMessage(closeMsg, 2), channelMessage(releaseMsg, 2), channelMessage(releaseMsg, 3), tearCh1)
		expectAll(t, sent, squeeze("0/2 0c00000000000000 e1000000"))
		if rules = append(rules, more...); len(rules) > 0 {
			t.Error(rules)
		}
		// Opened again, it may have sub-channels again.
		v.post(1, gpadl1, open1("e1000000", "02000000"))
		if err := (<-v.s.ports[1].device.(echo).manual).OfferSubChannels(1); err != nil {
			t.Error(err)
		}
	})
	t.Run("close of a sub-channel first", func(t *testing.T) {
		v, _, sub := withSubs(t)
		sent, rules := v.post(1, channelMessage(closeMsg, 2), "0b000000 00000000 02000000 e2000000")
		expectAll(t, sent, squeeze("0/2 0c00000000000000 e2000000"))
		<-sub.done
		sent, more := v.post(1, closeCh1)
		expectAll(t, sent, rescind2, rescind3)
		if rules = append(rules, more...); len(rules) > 0 {
			t.Error(rules)
		}
	})
	t.Run("removed", func(t *testing.T) {
		v, primary, sub := withSubs(t)
		v.s.RemoveDevice(primary.port.device)
		<-sub.done
		<-primary.done
		sent, rules := v.take()
		expectAll(t, sent, rescind2, rescind3, squeeze("0/2 "+channelMessage(rescindMsg, 1)))
		if len(rules) > 0 || primary.OfferSubChannels(1) == nil {
			t.Errorf("%v, or sub-channels of a device that is gone", rules)
		}
	})
	t.Run("unload", func(t *testing.T) {
		v, primary, sub := withSubs(t)
		sent, rules := v.post(1, unloadMsg)
		expectAll(t, sent, squeeze("0/2 1100000000000000"))
		<-sub.done
		<-primary.done
		if len(rules) > 0 {
			t.Error(rules)
		}
	})
	t.Run("use after the end", func(t *testing.T) {
		v, _, _ := withSubs(t)
		v.post(1, closeCh1)
		if sent, rules := v.post(1, openOf(3, 0xE2)); !slices.Equal(rules, []string{RuleOpenState}) || len(sent) != 1 {
			t.Errorf("open of a rescinded sub-channel: %v, %v", sent, rules)
		}
	})
}
