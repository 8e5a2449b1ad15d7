// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"bytes"
	"errors"
	"testing"
)

func TestDiscard(t *testing.T) {
	m, err := NewMemory(32<<20, 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	b, err := m.Bytes(HighMemory, 4*PageSize)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = 0xAB
	}
	if err := m.Discard(HighMemory+PageSize, 2*PageSize); err != nil {
		t.Fatal(err)
	}
	kept := bytes.Repeat([]byte{0xAB}, PageSize)
	want := append(append(bytes.Clone(kept), make([]byte, 2*PageSize)...), kept...)
	if !bytes.Equal(b, want) {
		t.Error("not the two pages in the middle, and only they, are zeros")
	}
	for _, c := range []struct {
		gpa, n uint64
		notRAM bool
	}{
		{HighMemory + 1, PageSize, false},
		{HighMemory, PageSize + 1, false},
		{16<<20 - PageSize, 2 * PageSize, true},
		{16 << 20, PageSize, true},
		{^uint64(0) &^ (PageSize - 1), PageSize, true},
	} {
		if err := m.Discard(c.gpa, c.n); err == nil || errors.Is(err, ErrNotRAM) != c.notRAM {
			t.Errorf("%#x, %d bytes: %v", c.gpa, c.n, err)
		}
	}
	if err := m.Discard(0, 0); err != nil {
		t.Error(err)
	}
}
