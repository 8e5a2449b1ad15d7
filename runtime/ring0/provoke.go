// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build hvgo_probe

package ring0

// BreakFaultStack takes the stack away that exceptions start on, so that the next one
// is a double fault.
//
//go:nosplit
func (c *CPU) BreakFaultStack(top uintptr) { c.setIST(2, top) }
