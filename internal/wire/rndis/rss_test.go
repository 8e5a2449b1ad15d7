// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package rndis

import (
	"bytes"
	"reflect"
	"testing"
)

// Objects as vmswitch and Linux's hv_netvsc lay them out.
func TestRSS(t *testing.T) {
	caps := RSSCapabilities{Flags: RSSCapTCPv4 | RSSCapTCPv6 | uint32(HashToeplitz), InterruptMessages: 1, Queues: 8, TableEntries: 128}
	want := unhex(t, "88021200 01030000 01000000 08000000 8000")
	if got := caps.AppendTo([]byte("foo")); !bytes.Equal(got[3:], want) {
		t.Errorf("capabilities %x, want %x", got[3:], want)
	}
	if got, err := DecodeRSSCapabilities(want); got != caps || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range want {
		if _, err := DecodeRSSCapabilities(want[:n]); err == nil {
			t.Errorf("%d bytes of capabilities decode", n)
		}
	}
	if _, err := DecodeRSSCapabilities(append([]byte{0x89}, want[1:]...)); err == nil {
		t.Error("another type decodes")
	}

	p := RSSParameters{Hash: HashToeplitz | HashIPv4 | HashTCPv4, Table: []uint32{0, 1}, Key: []byte{0x6d, 0x5a}}
	want = unhex(t, "89022800 0000 0000 01030000 0800 0000 28000000 0200 0000 30000000 00000000 00000000 00000000 00000000 01000000 6d5a")
	if got := p.AppendTo([]byte("foo")); !bytes.Equal(got[3:], want) {
		t.Errorf("parameters\n%x, want\n%x", got[3:], want)
	}
	if got, err := DecodeRSSParameters(want); !reflect.DeepEqual(got, p) || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range want {
		if _, err := DecodeRSSParameters(want[:n]); err == nil {
			t.Errorf("%d bytes of parameters decode", n)
		}
	}
	for name, c := range map[string]struct {
		at int
		v  uint32
	}{"table offset": {16, 0xFFFFFFFC}, "table size": {12, 0xFFFF}, "key offset": {24, 49}, "key size": {20, 3}} {
		bad := bytes.Clone(want)
		le.PutUint32(bad[c.at:], c.v)
		if got, err := DecodeRSSParameters(bad); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	off := bytes.Clone(want)
	off[4] = RSSDisable // then nothing else counts
	le.PutUint32(off[16:], 0xFFFFFFFF)
	if got, err := DecodeRSSParameters(off); err != nil || got.Flags != RSSDisable || got.Table != nil || got.Key != nil {
		t.Errorf("%+v, %v", got, err)
	}
	same := bytes.Clone(want)
	same[4] = RSSTableUnchanged | RSSKeyUnchanged
	le.PutUint32(same[16:], 0xFFFFFFFF)
	if got, err := DecodeRSSParameters(same); err != nil || got.Table != nil || got.Key != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzRSS(f *testing.F) {
	f.Add(RSSParameters{Hash: HashToeplitz, Table: []uint32{0, 1}, Key: make([]byte, RSSKeySize)}.AppendTo(nil))
	f.Add(RSSCapabilities{}.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		DecodeRSSCapabilities(b)
		m, err := DecodeRSSParameters(b)
		if err != nil || m.Flags != 0 {
			return
		}
		again, err := DecodeRSSParameters(m.AppendTo(nil))
		if err != nil || !reflect.DeepEqual(append([]uint32{}, m.Table...), append([]uint32{}, again.Table...)) || !bytes.Equal(m.Key, again.Key) {
			t.Errorf("%+v encodes to %+v, %v", m, again, err)
		}
	})
}
