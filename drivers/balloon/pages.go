// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import "github.com/hvgo/hvgo/internal/wire/dynmem"

// pageSet is a set of guest pages: a bit for each, in chunks for 128 MiB. Its size
// does not depend on how the pages lie, which the host and the allocator decide.
type pageSet struct {
	chunks map[uint64]*[chunkPages / 64]uint64
	count  uint64 // pages in the set
}

const chunkPages = 1 << 15

// word gives the word with the page's bit, nil if there is none and none shall be
// made.
func (s *pageSet) word(page uint64, create bool) *uint64 {
	c := s.chunks[page/chunkPages]
	if c == nil {
		if !create {
			return nil
		}
		if s.chunks == nil {
			s.chunks = map[uint64]*[chunkPages / 64]uint64{}
		}
		c = new([chunkPages / 64]uint64)
		s.chunks[page/chunkPages] = c
	}
	return &c[page%chunkPages/64]
}

// add puts the pages of r into the set.
func (s *pageSet) add(r dynmem.Range) {
	for page := r.Start; page < r.End(); page++ {
		if w, bit := s.word(page, true), uint64(1)<<(page%64); *w&bit == 0 {
			*w |= bit
			s.count++
		}
	}
}

// contains reports whether all pages of r are in the set.
func (s *pageSet) contains(r dynmem.Range) bool {
	for page := r.Start; page < r.End(); page++ {
		if w := s.word(page, false); w == nil || *w>>(page%64)&1 == 0 {
			return false
		}
	}
	return true
}

// remove takes the pages of r, which the set contains, out of it.
func (s *pageSet) remove(r dynmem.Range) {
	for page := r.Start; page < r.End(); page++ {
		*s.word(page, true) &^= 1 << (page % 64)
		s.count--
	}
}
