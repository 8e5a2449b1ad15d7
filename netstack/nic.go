// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

// NIC is an Ethernet card.
type NIC interface {
	MAC() [6]byte
	MTU() int // bytes of the largest IP packet
	LinkUp() bool

	// TxChecksum tells whether Transmit can be asked for the TCP and UDP
	// checksums of IPv4 packets.
	TxChecksum() bool

	// Start lets frames flow. All functions are called in one goroutine.
	//
	// receive gets each frame, in memory that somebody else may still write to
	// and that is theirs again when it returns; checked says that the TCP or UDP
	// checksum was found right. idle ends a batch of receive calls. room follows
	// a Transmit that found no room. link follows each change of the cable.
	Start(receive func(frame []byte, checked bool), idle, room func(), link func(up bool)) error

	// Transmit queues a frame given in parts, which are copied. If csumStart is
	// not 0, the card fills in the checksum of the transport header at that
	// offset of the frame; its field, at csumOffset in the header, holds the sum
	// of the pseudo header. queued is false if there is no room; an error says
	// that the frame cannot be sent at all.
	Transmit(frame [][]byte, csumStart, csumOffset int) (queued bool, err error)

	// Flush sends what Transmit queued.
	Flush() error
}
