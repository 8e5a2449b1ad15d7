// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"errors"
	"sync/atomic"
)

// PageSize is the unit of host-visible memory in bytes.
const PageSize = 4096

// Platform is what the bus needs of the machine. In the guest it is the
// hypervisor interface and the frame allocator, in tests an in-process host.
// All methods may be called from several goroutines, NextMessage from one.
type Platform interface {
	// PostMessage sends one message, at most 240 bytes, as type 1. ErrBusy
	// (HV_STATUS_INSUFFICIENT_BUFFERS) may succeed when repeated later;
	// ErrNoConnection (HV_STATUS_INVALID_CONNECTION_ID) will not.
	PostMessage(connection uint32, payload []byte) error

	// SignalEvent raises an event on the host's side.
	SignalEvent(connection uint32, flag uint16) error

	// NextMessage blocks until the host sent a message to VMBus's SINT, copies
	// it to buf and frees the slot. An error ends the bus.
	NextMessage(buf *[240]byte) (n int, err error)

	// Listen binds one of the SINT's 2048 event flags.
	Listen(flag uint16) (Event, error)

	// AllocPages gives n zeroed pages, contiguous for us, that the host may be
	// shown.
	AllocPages(n int) (*Pages, error)

	// PFNs appends the guest page numbers of the pages that b touches to dst.
	// They stay valid while b is reachable and not moved.
	PFNs(b []byte, dst []uint64) ([]uint64, error)
}

// Event is an event flag.
type Event interface {
	// Wait blocks until the flag was set since the last Wait; several settings
	// count as one. After Close it returns an error.
	Wait() error

	// Close makes a Wait under way and all later ones return an error, and
	// frees the flag.
	Close() error
}

// Pages is memory that the host may be shown.
type Pages struct {
	Mem     []byte   // len(PFN) * PageSize bytes, page aligned
	PFN     []uint64 // guest page numbers, in the order of Mem
	Release func()   // gives the pages back; may be nil

	freed atomic.Bool
}

// Free gives the pages back. It is called only when the host cannot write to
// them any more; a second call does nothing.
func (p *Pages) Free() {
	if p.freed.CompareAndSwap(false, true) && p.Release != nil {
		p.Release()
	}
}

// Errors that callers decide on.
var (
	// ErrBusy: the host has no room for a message now (returned by Platform).
	ErrBusy = errors.New("vmbus: host has no message buffers")
	// ErrNoConnection: nobody listens on that connection id (returned by
	// Platform).
	ErrNoConnection = errors.New("vmbus: no such connection")
	// ErrClosed: the bus, channel or event was closed by us.
	ErrClosed = errors.New("vmbus: closed")
	// ErrRescinded: the host took the channel away.
	ErrRescinded = errors.New("vmbus: channel rescinded by host")
	// ErrTimeout: the host did not answer in time.
	ErrTimeout = errors.New("vmbus: host does not answer")
	// ErrNoVersion: the host speaks no version that we do.
	ErrNoVersion = errors.New("vmbus: no common version")
	// ErrCorrupt is wrapped by a CorruptError.
	ErrCorrupt = errors.New("vmbus: corrupt ring")
	// ErrTooLarge: the packet cannot fit in the ring even when it is empty.
	ErrTooLarge = errors.New("vmbus: packet larger than the ring")
	// ErrRefused is wrapped by a RefusedError.
	ErrRefused = errors.New("vmbus: refused by host")
)
