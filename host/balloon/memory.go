// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// discarder is guest memory that can be given back to the host's system: its
// contents are zeros afterwards.
type discarder interface {
	Discard(gpa, n uint64) error
}

// poison fills pages of memory that cannot be discarded, for Verify.
const poison = 0xB5

func le64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// take checks the pages of r and takes them over. mu is held.
func (b *Balloon) take(mem vmbus.Memory, r dynmem.Range) error {
	for n := range uint64(r.Count) {
		number := r.Start + n
		if b.held[number] {
			return vmbus.Broken("balloon: page %#x is given twice", number)
		}
		page, err := mem.Bytes(number*wire.PageSize, wire.PageSize)
		if err != nil {
			return vmbus.Broken("balloon: page %#x: %v", number, err)
		}
		b.held[number] = true
		if _, ok := mem.(discarder); !ok {
			fill(page)
		}
	}
	if d, ok := mem.(discarder); ok {
		return d.Discard(r.Start*wire.PageSize, uint64(r.Count)*wire.PageSize)
	}
	return nil
}

func fill(page []byte) {
	for i := range page {
		page[i] = poison
	}
}

// release chooses up to count pages to give back, and forgets them. It fails if
// the guest has changed one.
func (b *Balloon) release(mem vmbus.Memory, count uint64) ([]dynmem.Range, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	numbers := slices.Sorted(maps.Keys(b.held))
	numbers = numbers[:min(uint64(len(numbers)), count)]
	want := make([]byte, wire.PageSize)
	if _, ok := mem.(discarder); !ok {
		fill(want)
	}
	var ranges []dynmem.Range
	for _, number := range numbers {
		if b.opt.Verify {
			page, err := mem.Bytes(number*wire.PageSize, wire.PageSize)
			if err != nil {
				return nil, fmt.Errorf("balloon: page %#x: %w", number, err)
			}
			if !bytes.Equal(page, want) {
				return nil, fmt.Errorf("balloon: the guest wrote to page %#x, which it had given away", number)
			}
		}
		last := len(ranges) - 1
		if last >= 0 && ranges[last].End() == number && ranges[last].Count < dynmem.MaxRangeCount {
			ranges[last].Count++
		} else {
			ranges = append(ranges, dynmem.Range{Start: number, Count: 1})
		}
		delete(b.held, number)
	}
	return ranges, nil
}
