// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"sync/atomic"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// noEOIRequired is bit 0 of the assist page's first word: the hypervisor has set it with
// an interrupt whose end it need not be told, as no other one waits (TLFS 10.3.5).
const noEOIRequired = 1 << 0

// initAssist takes the processor's VP assist page into use (TLFS 7.8.7): a place in
// memory where the hypervisor says which ends of interrupts are worth an exit. Without
// memory for it all are.
//
//go:nosplit
func initAssist() {
	if !has(tlfs.AccessApic) {
		return
	}
	pa := mem.AllocFrame()
	if pa == 0 {
		return
	}
	clearPage(pa)
	ring0.Wrmsr(tlfs.MSRVpAssistPage, pa|tlfs.OverlayEnable)
	mine().assist = mem.Phys(pa)
}

// needless takes the hypervisor's word, if it was given, that the interrupt in service
// needs no EOI.
//
//go:nosplit
func needless() bool {
	page := mine().assist
	if page == 0 {
		return false
	}
	word := (*uint32)(ring0.Pointer(page))
	return atomic.LoadUint32(word)&noEOIRequired != 0 && atomic.SwapUint32(word, 0)&noEOIRequired != 0
}
