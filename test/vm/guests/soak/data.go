// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/hvgo/hvgo/test/vm/pattern"
)

// random is a source of numbers for one goroutine.
type random struct{ *rand.Rand }

func newRandom(seed uint64) *random {
	return &random{rand.New(rand.NewPCG(seed, seed^0x9E3779B97F4A7C15))}
}

// child is a source for another goroutine.
func (r *random) child() *random { return newRandom(r.Uint64()) }

// size is a multiple of 8 between 8 and most, small ones as likely as large ones.
func (r *random) size(most int) int {
	shift := r.IntN(20)
	return max(8, r.IntN(max(1, most>>shift)+1)&^7)
}

// filled is memory with a pattern of its own, which starts at key.
func filled(n int, key int64) []byte {
	b := make([]byte, n)
	pattern.Fill(b, key)
	return b
}

// verify says where b is not what filled made with that key. name is the load's, for
// the fault that spoils its data.
func verify(name string, b []byte, key int64) error {
	spoil(name, b)
	at := pattern.Differs(b, key)
	if at < 0 {
		return nil
	}
	end := min(at+16, len(b))
	return fmt.Errorf("data differ at %d of %d: %x instead of %x", at, len(b), b[at:end], filled(len(b), key)[at:end])
}

// same says whether b is want.
func same(name string, b, want []byte) error {
	spoil(name, b)
	if !bytes.Equal(b, want) {
		return fmt.Errorf("%d bytes differ from the %d that were expected", len(b), len(want))
	}
	return nil
}
