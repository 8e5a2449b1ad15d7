// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"context"
	"log/slog"

	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// VM is what the server needs of the virtual machine. No method may block for long,
// or call back into the Server.
type VM interface {
	// PostMessage puts a message into the message slot of a SINT; the VM keeps it
	// until the slot is free, in order.
	PostMessage(vp uint32, sint uint8, msgType uint32, payload []byte) error
	// SignalEvent sets an event flag of a SINT and interrupts the guest if it was clear.
	SignalEvent(vp uint32, sint uint8, flag uint16) error
	// VPs is how many virtual processors there are; their indices begin with 0.
	VPs() uint32
	Memory() Memory
}

// Memory is the guest's RAM.
type Memory interface {
	// Bytes returns the guest's memory at gpa itself. It fails if any part is not RAM.
	// The server asks for one page at most, within a page.
	Bytes(gpa, n uint64) ([]byte, error)
}

// Device is something that the guest reaches through a channel.
type Device interface {
	// Offer describes the channel. It is asked for each time channels are offered.
	Offer() Offer
	// Serve works on one opened channel until ctx ends or the channel fails.
	Serve(ctx context.Context, ch *Channel) error
}

// Offer is the device's part of OFFER_CHANNEL. Ids, connection and event flag are
// the server's.
type Offer struct {
	Interface     guid.GUID
	Instance      guid.GUID
	Flags         uint16 // wire Offer flags
	MMIOMegabytes uint16
	UserDefined   [wire.UserDataSize]byte
}

// Options adjust a Server. The zero value is a host of version 6.0.
type Options struct {
	// MaxVersion is the newest version that is accepted; zero is 6.0. A host older
	// than 5.0 does not listen on connection 4.
	MaxVersion wire.Version
	// Features are those offered at 6.0; nil is DefaultFeatures.
	Features *wire.Features
	// NoMultiConnection takes connection 4 away whatever the version, as QEMU does.
	NoMultiConnection bool
	// ShortVersionResponse sends VERSION_RESPONSE without the fields after the state,
	// padded to 16 bytes with zeros, as QEMU does; for versions below 5.0, whose
	// guests need no more.
	ShortVersionResponse bool
	// MessageConnection is told to guests of 5.0 and later as the connection for
	// their messages: 0 is 1, as on OpenVMM.
	MessageConnection uint32
	// EventConnection chooses the connection id by which the guest signals a channel.
	// nil is 0x2000 + channel id, as on OpenVMM (SINT 2 in bits 12 to 15).
	EventConnection func(id wire.ChannelID) uint32
	// Strict is told about each rule that the guest breaks (the Rule constants). It
	// is called from any goroutine, with locks held: it must not call the Server.
	Strict func(rule, detail string)
	// Garbage fills reserved fields and padding of what the host sends with 0xA5.
	Garbage bool
	// Quirks are habits of other hosts.
	Quirks Quirks
	// Trace sees every channel message.
	Trace func(toGuest bool, message []byte)
	// Record keeps all that both sides send, packets too; nil keeps nothing. It is the
	// caller's, who closes it after the Server.
	Record *record.Recorder
	// Log is slog.Default if nil.
	Log *slog.Logger
}

// DefaultFeatures are the features of version 6.0 that this server implements.
const DefaultFeatures = wire.FeatureModifyConnection | wire.FeatureClientID | wire.FeaturePauseResume

// supportedVersions are all that were ever released, in order.
var supportedVersions = []wire.Version{
	wire.Version0_13, wire.Version1_1, wire.Version2_4, wire.Version3_0, wire.Version4_0, wire.Version4_1,
	wire.Version5_0, wire.Version5_1, wire.Version5_2, wire.Version5_3, wire.Version6_0,
}

// SINT is the synthetic interrupt source by which VMBus reaches a guest in VTL 0.
const SINT = 2
