// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package vmbus is the guest's end of VMBus: it connects to the host, learns
// which devices it offers, and moves packets through their rings.
//
// On the way of a byte it stands between the hypervisor (package hv, behind the
// Platform interface) and the device drivers:
//
//	storvsc, netvsc, ic
//	      |  Tx.GPADirect, Tx.InBand ...        ^  handler(batch of packets)
//	      v                                     |
//	  send.go -> ring.go                    serve.go <- ring.go
//	      |  Platform.SignalEvent               ^  Event.Wait
//	      v                                     |
//	  hypercall, only when the host sleeps   event flag, set by the host
//
// Two kinds of goroutine: one for the whole bus, which takes the host's
// messages and must never block on the host (message.go), and for each open
// channel the one in which its driver calls Channel.Serve. A handler may send:
// when the ring is full, it waits for room itself (wake.go).
//
// The host is not trusted. Control words are checked at each reading, our own
// indices live in private memory and are never read back, packets are copied
// before anyone parses them, and every wait for an answer has a deadline. What
// the host may still do is to stop answering: then calls fail, they do not
// hang, and memory that it might still write to is not used again.
//
// Layouts are in internal/wire/vmbus, imported here as wire.
package vmbus
