// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsc

// Channel is what the driver needs of an open VMBus channel. Sends block while
// the ring is full and fail once the channel is closed or rescinded.
type Channel interface {
	// SendInBand sends payload as an in-band packet. The host answers with a
	// completion of the same transaction if completion is set.
	SendInBand(transaction uint64, payload []byte, completion bool) error

	// SendGPADirect sends payload with the first size bytes of the pages in
	// pfns as one range, and asks for a completion.
	SendGPADirect(transaction uint64, payload []byte, pfns []uint64, size int) error

	// SendCompletions completes packets of the host's, all at once.
	SendCompletions(done []Done) error

	// Share gives zeroed memory of n pages that the host knows by a GPADL.
	Share(n int) (*Memory, error)

	// Lend gives zeroed memory of n pages for SendGPADirect.
	Lend(n int) (*Memory, error)

	// Serve calls handle with what arrived, in one goroutine, until the channel
	// is closed or rescinded. Packets are private copies, valid until handle
	// returns.
	Serve(handle func([]Packet)) error

	// Close closes the channel: Serve returns, and the host does not touch
	// shared memory any more.
	Close() error

	// Free frees what Share and Lend gave. It follows Close and the end of Serve.
	Free() error
}

// Memory is memory that the host may read and write.
type Memory struct {
	Bytes []byte
	PFN   []uint64 // guest page number of each page
	GPADL uint32   // of what Share gave
}

// Done is a completion of a packet of the host's.
type Done struct {
	Transaction uint64
	Payload     []byte
}

// Kind tells the packets of a ring apart.
type Kind uint8

// Kinds of packets.
const (
	InBand Kind = iota + 1
	TransferPages
	Completion
)

// Range is a part of a shared buffer, in bytes.
type Range struct {
	Count, Offset uint32
}

// Packet is one packet from the host.
type Packet struct {
	Kind            Kind
	WantsCompletion bool
	SetID           uint16 // TransferPages: ID of the buffer
	Transaction     uint64
	Ranges          []Range // TransferPages
	Payload         []byte
}
