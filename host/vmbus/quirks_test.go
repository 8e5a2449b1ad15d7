// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

func TestBusyEvery(t *testing.T) {
	v := newFake(t, Options{Quirks: Quirks{BusyEvery: 3}})
	var got string
	for range 7 {
		switch s := v.s.PostMessage(wire.ConnectionMessages, 1, unhex(t, unloadMsg)); s {
		case tlfs.StatusSuccess:
			got += "."
		case tlfs.StatusInsufficientBuffers:
			got += "x"
		default:
			t.Errorf("%v", s)
		}
		v.settle()
	}
	if got != "..x..x." {
		t.Errorf("taken: %s", got)
	}
}

// offers returns the channel ids and instances of the offers sent.
func offers(t *testing.T, sent []string) (ids []wire.ChannelID, instances []byte) {
	t.Helper()
	for _, m := range sent {
		_, body, _ := strings.Cut(m, " ")
		o, err := wire.DecodeOfferChannel(unhex(t, body))
		if err != nil {
			continue // another message
		}
		ids, instances = append(ids, o.ChannelID), append(instances, o.InstanceID[15])
	}
	return ids, instances
}

func TestOfferQuirks(t *testing.T) {
	v := newFake(t, Options{Quirks: Quirks{IDStep: 37, ReverseOffers: true}})
	for id := byte(1); id <= 3; id++ {
		v.s.AddDevice(echo{id: id})
	}
	sent, _ := v.post(1, contact40, offersReq)
	ids, instances := offers(t, sent)
	if len(ids) != 3 || ids[0] != 37 || ids[1] != 74 || ids[2] != 111 || string(instances) != "\x03\x02\x01" {
		t.Errorf("channels %v, instances % x", ids, instances)
	}
}

func TestSlowTeardown(t *testing.T) {
	v := newFake(t, Options{Quirks: Quirks{SlowTeardown: 50 * time.Millisecond}})
	v.s.AddDevice(echo{id: 1})
	v.post(1, contact40, offersReq, gpadl1)
	if sent, rules := v.post(1, tearCh1); len(sent)+len(rules) != 0 {
		t.Errorf("answered at once: %v, %v", sent, rules)
	}
	for {
		sent, _ := v.take()
		if len(sent) > 0 {
			if len(sent) != 1 || !strings.HasPrefix(sent[0], "0/2 0c") {
				t.Errorf("answered %v", sent)
			}
			break
		}
		time.Sleep(time.Millisecond)
	}
	// Of a connection that has ended nobody hears any more.
	v.post(1, gpadl1, tearCh1, unloadMsg, contact40)
	time.Sleep(150 * time.Millisecond)
	v.settle()
	if sent, rules := v.take(); len(sent)+len(rules) != 0 {
		t.Errorf("sent %v, broken %v", sent, rules)
	}
}
