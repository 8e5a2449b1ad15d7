// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package trap stands for trap context: each function named trap... is an entry.
package trap

import (
	"sync/atomic"

	"prog/other"
)

type node struct {
	next *node
	v    [40]uintptr
}

var (
	head    *node
	numbers []int
	ages    map[string]int
	hook                      = harmless
	table                     = [2]func(){harmless, allocateNothing}
	doer    interface{ do() } = &node{}
	counter atomic.Uint64
	sink    uintptr
	area    node
)

func (n *node) do() {}

//go:noinline
//go:nosplit
func harmless() { sink++ }

//go:noinline
//go:nosplit
func allocateNothing() { allocate() }

//go:noinline
//go:nosplit
func allocate() { head = new(node) }

//go:noinline
func splits(n int) int {
	if n == 0 {
		return 0
	}
	return splits(n-1) + 1
}

// choose is compiled to a jump table.
//
//go:noinline
//go:nosplit
func choose(n, a, b uintptr) uintptr {
	switch n {
	case 0:
		return a + b
	case 1:
		return a - b
	case 2:
		return a * b
	case 3:
		return a & b
	case 4:
		return a | b
	case 5:
		return a ^ b
	case 6:
		return a << 3
	case 7:
		return b << 4
	case 8:
		return b + 9
	}
	return 0
}

//go:noinline
//go:nosplit
func trapClean(n uintptr) {
	var local node
	local.v[n%40] = choose(n, 3, 4)
	area.v = local.v
	area.v[0] += area.v[n%40]
	counter.Add(uint64(area.v[1]))
	harmless()
	for i := range area.v {
		area.v[i] = 0
	}
	copyPart(n)
}

//go:noinline
//go:nosplit
func copyPart(n uintptr) { copy(area.v[:n%40], area.v[n%20:]) }

//go:noinline
//go:nosplit
func trapAlloc() { allocate() }

//go:noinline
//go:nosplit
func trapBarrier(n *node) { n.next = head }

//go:noinline
//go:nosplit
func trapSplit(n int) int { return splits(n) }

//go:noinline
//go:nosplit
func trapIndex(n int) int { return numbers[n] }

//go:noinline
//go:nosplit
func trapDivide(n int) int { return 1000 / n }

//go:noinline
//go:nosplit
func trapMap(s string) int { return ages[s] }

//go:noinline
//go:nosplit
func trapFunctionValue() { hook() }

//go:noinline
//go:nosplit
func trapInterface() { doer.do() }

//go:noinline
//go:nosplit
func trapForeign() { other.Harmless() }

//go:noinline
//go:nosplit
func trapTable(n int) bool { return table[n&1] == nil }

//go:noinline
//go:nosplit
func trapValueTaken() { hook = allocate }

// In trap_amd64.s.
func trapAddress()
func trapJump()
func trapSyscall()
func trapUnknown()
func trapComputed()
func writeMSR()
func hypercall()
func loadCR3()

// All keeps the linker from leaving any of them out.
func All(n int) {
	trapClean(uintptr(n))
	trapAlloc()
	trapBarrier(&area)
	trapSplit(n)
	trapIndex(n)
	trapDivide(n)
	trapMap("a")
	trapFunctionValue()
	trapInterface()
	trapForeign()
	trapTable(n)
	trapValueTaken()
	trapAddress()
	trapJump()
	trapSyscall()
	trapUnknown()
	trapComputed()
	writeMSR()
	hypercall()
	loadCR3()
}
