// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import "github.com/hvgo/hvgo/runtime/ring0"

// local is what each processor has of its own. Only that processor uses it, with
// interrupts off, but where a comment says else.
type local struct {
	simp, siefp uintptr // its message and event flag pages
	assist      uintptr // its VP assist page; 0: it has none
	inputPA     uint64  // a page for the input of slow hypercalls
	armed       int64   // the reference time that its timer 0 is set to, in ns; 0 when it is off
}

var locals [ring0.MaxCPUs]local

//go:nosplit
func mine() *local { return &locals[ring0.This().ID%ring0.MaxCPUs] }
