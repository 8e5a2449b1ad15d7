// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import "github.com/hvgo/hvgo/runtime/ring0"

// The local APIC's interrupt command register (Intel SDM volume 3, 11.6.1).
const (
	apicICR      = 0x300
	icrNMI       = 4 << 8
	icrAssert    = 1 << 14
	icrAllOthers = 3 << 18
	icrNMIToAll  = icrNMI | icrAssert | icrAllOthers
	x2apicICR    = 0x830
)

// NMIOthers sends all other processors a non-maskable interrupt, by the local APIC:
// the hypercall for IPIs has none.
//
//go:nosplit
func NMIOthers() {
	if apicPage != 0 {
		apicWrite(apicICR, icrNMIToAll)
		return
	}
	ring0.Wrmsr(x2apicICR, icrNMIToAll)
}
