// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package nvsp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var le = binary.LittleEndian

// Version is a protocol version: major in the upper 16 bits, minor below.
// Version 1 predates that rule and is the plain number 2.
type Version uint32

// The versions in use.
const (
	Version1  Version = 0x00000002 // Windows Server 2008
	Version2  Version = 0x00030002 // Windows Server 2008 R2: NDIS config
	Version4  Version = 0x00040000 // Windows Server 2012: VF association
	Version5  Version = 0x00050000 // Windows Server 2012 R2: sub-channels
	Version6  Version = 0x00060000 // Windows Server 2016
	Version61 Version = 0x00060001 // Windows Server 2019: 40-byte messages
)

func (v Version) String() string { return fmt.Sprintf("%d.%d", uint32(v)>>16, uint32(v)&0xFFFF) }

// MessageSize is the size of a message in this version, in bytes.
func (v Version) MessageSize() int {
	if v >= Version61 {
		return MessageSize
	}
	return MessageSizeLegacy
}

// Type is the number that starts every message.
type Type uint32

// All message types, with the version that brought them. The numbers 109 to
// 118, 126 and 127 (TCP chimney) and 120 to 124, 130 are retired.
const (
	TypeNone         Type = 0
	TypeInit         Type = 1 // guest to host, before any version is agreed
	TypeInitComplete Type = 2

	// Version 1.
	TypeSendNDISVersion           Type = 100
	TypeSendReceiveBuffer         Type = 101
	TypeSendReceiveBufferComplete Type = 102
	TypeRevokeReceiveBuffer       Type = 103
	TypeSendSendBuffer            Type = 104
	TypeSendSendBufferComplete    Type = 105
	TypeRevokeSendBuffer          Type = 106
	TypeSendRNDISPacket           Type = 107 // both directions
	TypeSendRNDISPacketComplete   Type = 108 // both directions

	// Version 2 (3.2 on the wire).
	TypeSendNDISConfig Type = 125

	// Version 4.
	TypeSendVFAssociation Type = 128 // host to guest
	TypeSwitchDataPath    Type = 129

	// Version 5.
	TypeOIDQueryEx           Type = 131
	TypeOIDQueryExComplete   Type = 132
	TypeSubChannel           Type = 133 // request, and the host's answer
	TypeSendIndirectionTable Type = 134 // host to guest

	// Version 6.
	TypePDAPI       Type = 135 // packet direct
	TypePDPostBatch Type = 136
)

// Sizes in bytes. Each includes the 4-byte type.
const (
	HeaderSize        = 4
	MessageSizeLegacy = 28 // up to version 6.0
	MessageSize       = 40 // from version 6.1
)

// Status is the outcome a completion reports.
type Status uint32

// Status values. A completion of Init with StatusNone refuses the version.
const (
	StatusNone                       Status = 0
	StatusSuccess                    Status = 1
	StatusFailure                    Status = 2
	StatusVersionTooNew              Status = 3 // retired
	StatusVersionTooOld              Status = 4 // retired
	StatusInvalidRNDISPacket         Status = 5
	StatusBusy                       Status = 6
	StatusProtocolVersionUnsupported Status = 7
)

func (s Status) String() string {
	switch s {
	case StatusNone:
		return "none"
	case StatusSuccess:
		return "success"
	case StatusFailure:
		return "failure"
	case StatusInvalidRNDISPacket:
		return "invalid RNDIS packet"
	case StatusBusy:
		return "busy"
	case StatusProtocolVersionUnsupported:
		return "protocol version unsupported"
	}
	return fmt.Sprintf("NVSP status %d", uint32(s))
}

// Errors of all decoders, wrapped with the message's name.
var (
	ErrShort = errors.New("message too short")
	ErrType  = errors.New("message of another type")
)

// DecodeType returns the type of the message in b.
func DecodeType(b []byte) (Type, error) {
	if len(b) < HeaderSize {
		return 0, fmt.Errorf("NVSP header: %w: %d bytes", ErrShort, len(b))
	}
	return Type(le.Uint32(b)), nil
}

// body checks size and type of the message in b and returns what follows the
// type, at least size-HeaderSize bytes.
func body(b []byte, size int, want Type, name string) ([]byte, error) {
	if len(b) < size {
		return nil, fmt.Errorf("NVSP %s: %w: %d of %d bytes", name, ErrShort, len(b), size)
	}
	if t := Type(le.Uint32(b)); t != want {
		return nil, fmt.Errorf("NVSP %s: %w: %d", name, ErrType, uint32(t))
	}
	return b[HeaderSize:], nil
}

func appendType(b []byte, t Type) []byte { return le.AppendUint32(b, uint32(t)) }
