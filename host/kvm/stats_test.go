// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

import (
	"encoding/binary"
	"slices"
	"testing"
)

// statsFile is a file with names of 16 bytes and two counters, one of them a
// histogram of three words.
func statsFile() []byte {
	le := binary.LittleEndian
	var b []byte
	for _, w := range []uint32{0, 16, 2, 24, 40, 104} {
		b = le.AppendUint32(b, w)
	}
	b = append(b, "kvm-1/vcpu-0\x00\x00\x00\x00"...)
	for _, d := range []struct {
		name   string
		words  uint16
		offset uint32
	}{{"hist", 3, 0}, {"exits", 1, 24}} {
		b = le.AppendUint32(b, 0)
		b = le.AppendUint16(le.AppendUint16(b, 0), d.words)
		b = le.AppendUint32(le.AppendUint32(b, d.offset), 0)
		b = append(b, append([]byte(d.name), make([]byte, 16-len(d.name))...)...)
	}
	return b
}

func TestParseStats(t *testing.T) {
	b := statsFile()
	s, err := parseStats(b)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.names, []string{"exits"}) || s.offset[0] != 24 || s.at != 104 || len(s.data) != 32 {
		t.Errorf("%+v", s)
	}
	for n := range b {
		if _, err := parseStats(b[:n]); err == nil {
			t.Errorf("the first %d bytes are taken for a whole file", n)
		}
	}
}

func FuzzParseStats(f *testing.F) {
	f.Add(statsFile())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStats(b)
		if err != nil {
			return
		}
		for i, at := range s.offset {
			if at < 0 || at+8 > len(s.data) {
				t.Errorf("%s lies outside", s.names[i])
			}
		}
	})
}
