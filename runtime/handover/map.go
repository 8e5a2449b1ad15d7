// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"github.com/hvgo/hvgo/internal/wire/direct"
)

// maxRanges bounds what a host may tell: boot_params have room for 128, and PVH
// hosts tell a dozen.
const maxRanges = 512

const pageMask = 4096 - 1

// Window is where a PC has its ROMs, and hosts without ROMs their RSDP and SMBIOS
// entry point. It is in every map, as a range of type TypeWindow.
const (
	WindowStart = 0xE0000
	WindowEnd   = 0x100000
	TypeWindow  = 1 << 31
)

// Range is a stretch of the finished map, whole pages: RAM and what is left of it.
type Range struct {
	Start, End uint64
	Type       uint32 // of package direct, or TypeWindow
}

// Map is the memory map. Ranges of it overlap while it is collected; finish sorts
// that out.
type Map struct {
	told  [maxRanges]Range
	nTold int
	edges [2 * maxRanges]uint64

	Ranges [2 * maxRanges]Range // N of them, rising, without overlaps
	N      int
}

// add takes a range as it was told. It gives false when there is no more room.
// Pages that are RAM only in part are not RAM; pages that are something else in
// part are that as a whole. A range that goes beyond the last address ends there.
func (m *Map) add(r direct.Range) bool {
	start, end := r.Start, r.Start+r.Size
	if end < start {
		end = ^uint64(0)
	}
	if r.Type == direct.RAM {
		start, end = roundUp(start), end&^pageMask
	} else {
		start, end = start&^pageMask, roundUp(end)
	}
	if start >= end {
		return true
	}
	if m.nTold == len(m.told) {
		return false
	}
	m.told[m.nTold] = Range{start, end, r.Type}
	m.nTold++
	return true
}

// roundUp stops at the last page.
func roundUp(n uint64) uint64 {
	if n > ^uint64(pageMask) {
		return ^uint64(pageMask)
	}
	return (n + pageMask) &^ pageMask
}

// finish makes the map: between two edges of the ranges that were told all memory is
// alike, and where they contradict each other, the careful one is believed. It gives
// what is wrong, or "".
func (m *Map) finish() string {
	if !m.add(direct.Range{Start: WindowStart, Size: WindowEnd - WindowStart, Type: TypeWindow}) {
		return "the memory map has too many ranges"
	}
	n := 0
	for _, r := range m.told[:m.nTold] {
		n = m.addEdge(n, r.Start)
		n = m.addEdge(n, r.End)
	}
	m.N = 0
	ram := false
	for i := 1; i < n; i++ {
		start, end := m.edges[i-1], m.edges[i]
		kind := m.kindOf(start)
		if kind == 0 {
			continue
		}
		ram = ram || kind == direct.RAM
		if k := m.N - 1; k >= 0 && m.Ranges[k].End == start && m.Ranges[k].Type == kind {
			m.Ranges[k].End = end
			continue
		}
		m.Ranges[m.N] = Range{start, end, kind}
		m.N++
	}
	if !ram {
		return "the host tells of no memory"
	}
	return ""
}

// addEdge puts an address into the sorted edges, of which there are n, once.
func (m *Map) addEdge(n int, at uint64) int {
	i := n
	for i > 0 && m.edges[i-1] > at {
		i--
	}
	if i > 0 && m.edges[i-1] == at {
		return n
	}
	copy(m.edges[i+1:n+1], m.edges[i:n])
	m.edges[i] = at
	return n + 1
}

// kindOf is the type of the memory at an address, 0 where nobody told of any.
func (m *Map) kindOf(at uint64) uint32 {
	kind, best := uint32(0), 0
	for _, r := range m.told[:m.nTold] {
		if at >= r.Start && at < r.End && rank(r.Type) > best {
			kind, best = r.Type, rank(r.Type)
		}
	}
	return kind
}

// rank orders types by how much is to be left alone. The window is at the top,
// since it is only ever read.
func rank(kind uint32) int {
	switch kind {
	case direct.RAM:
		return 1
	case direct.ACPI:
		return 2
	case direct.NVS:
		return 3
	case TypeWindow:
		return 5
	}
	return 4
}
