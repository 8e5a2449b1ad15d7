// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"fmt"
	"slices"

	"github.com/hvgo/hvgo/host/vmm"
)

const pageSize = vmm.PageSize

// span is a stretch of the memory map, in bytes, whole pages.
type span struct {
	start, end uint64
	kind       uint32
	guest      bool // allocated by the guest, who may free it
}

// memoryMap holds what every page of RAM is used for. Its spans are sorted, do
// not overlap, cover all RAM, and no two that touch are alike.
type memoryMap struct {
	spans []span
	key   uint64 // changes with every change
}

func newMemoryMap(regions []vmm.Region) *memoryMap {
	m := &memoryMap{key: 1}
	for _, r := range regions {
		m.spans = append(m.spans, span{start: r.GPA, end: r.GPA + uint64(len(r.Mem)), kind: memConventional})
	}
	return m
}

// find returns the highest address below limit where size bytes of conventional
// memory start, or ok false. Page zero is never given out.
func (m *memoryMap) find(size, align, limit uint64) (addr uint64, ok bool) {
	for _, s := range slices.Backward(m.spans) {
		start, end := max(s.start, pageSize), min(s.end, limit)
		if s.kind != memConventional || end < start || end-start < size {
			continue
		}
		if a := (end - size) &^ (align - 1); a >= start {
			return a, true
		}
	}
	return 0, false
}

// is reports whether all of [start, end) satisfies ok.
func (m *memoryMap) is(start, end uint64, ok func(span) bool) bool {
	if start >= end {
		return false
	}
	for _, s := range m.spans {
		if s.end <= start {
			continue
		}
		if s.start > start || !ok(s) {
			return false
		}
		if start = s.end; start >= end {
			return true
		}
	}
	return false
}

// free reports whether all of [start, end) is conventional memory.
func (m *memoryMap) free(start, end uint64) bool {
	return m.is(start, end, func(s span) bool { return s.kind == memConventional })
}

// set gives [n.start, n.end), which must be RAM, to n.
func (m *memoryMap) set(n span) {
	var out []span
	for _, s := range m.spans {
		if s.end <= n.start || s.start >= n.end {
			out = append(out, s)
			continue
		}
		if s.start < n.start {
			out = append(out, span{s.start, n.start, s.kind, s.guest})
		}
		if s.end > n.end {
			out = append(out, span{n.end, s.end, s.kind, s.guest})
		}
	}
	out = append(out, n)
	slices.SortFunc(out, func(a, b span) int {
		if a.start < b.start {
			return -1
		}
		return 1
	})
	m.spans = out[:0]
	for _, s := range out {
		if k := len(m.spans) - 1; k >= 0 && m.spans[k].end == s.start && m.spans[k].kind == s.kind && m.spans[k].guest == s.guest {
			m.spans[k].end = s.end
			continue
		}
		m.spans = append(m.spans, s)
	}
	m.key++
}

// allocate takes size bytes for the firmware's own use.
func (m *memoryMap) allocate(size uint64, kind uint32, limit uint64) (uint64, error) {
	size = roundUp(size)
	a, ok := m.find(size, pageSize, limit)
	if !ok {
		return 0, fmt.Errorf("no %d bytes of guest memory left for the firmware", size)
	}
	m.set(span{start: a, end: a + size, kind: kind})
	return a, nil
}

// descriptorSize is the stride of the map handed out: more than the 40 bytes of
// EFI_MEMORY_DESCRIPTOR, as in EDK2, so that a guest has to heed DescriptorSize.
const (
	descriptorSize    = 48
	descriptorVersion = 1
)

// descriptors encodes the map as GetMemoryMap gives it. The spans of the guest
// and of the firmware are not told apart there, so neighbours of a kind merge.
func (m *memoryMap) descriptors() []byte {
	var merged []span
	for _, s := range m.spans {
		if k := len(merged) - 1; k >= 0 && merged[k].end == s.start && merged[k].kind == s.kind {
			merged[k].end = s.end
			continue
		}
		merged = append(merged, s)
	}
	b := make([]byte, 0, len(merged)*descriptorSize)
	for _, s := range merged {
		attr := uint64(memAttrCache)
		if s.kind == memRuntimeCode || s.kind == memRuntimeData {
			attr |= memAttrRuntime
		}
		b = le.AppendUint32(b, s.kind)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, s.start)
		b = le.AppendUint64(b, 0)
		b = le.AppendUint64(b, (s.end-s.start)/pageSize)
		b = le.AppendUint64(b, attr)
		b = le.AppendUint64(b, 0) // the stride's rest
	}
	return b
}

func roundUp(n uint64) uint64 { return (n + pageSize - 1) &^ (pageSize - 1) }
