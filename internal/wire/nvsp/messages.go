// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package nvsp

import "fmt"

// Init proposes a version. The guest sets both fields to the same version and
// tries the next older one when the host refuses.
type Init struct {
	Version, Version2 Version
}

// InitSize is the encoded size of an Init.
const InitSize = 12

// DecodeInit reads an Init.
func DecodeInit(b []byte) (Init, error) {
	p, err := body(b, InitSize, TypeInit, "Init")
	if err != nil {
		return Init{}, err
	}
	return Init{Version(le.Uint32(p)), Version(le.Uint32(p[4:]))}, nil
}

// AppendTo appends the encoded message to b.
func (m Init) AppendTo(b []byte) []byte {
	b = le.AppendUint32(appendType(b, TypeInit), uint32(m.Version))
	return le.AppendUint32(b, uint32(m.Version2))
}

// InitComplete answers Init. Negotiated is meaningful in version 1 only and
// 0xFFFFFFFF later. MaxMDLChain is the number of memory ranges the host takes
// in one GPA-direct packet.
type InitComplete struct {
	Negotiated  Version
	MaxMDLChain uint32
	Status      Status
}

// InitCompleteSize is the encoded size of an InitComplete.
const InitCompleteSize = 16

// DecodeInitComplete reads an InitComplete.
func DecodeInitComplete(b []byte) (InitComplete, error) {
	p, err := body(b, InitCompleteSize, TypeInitComplete, "InitComplete")
	if err != nil {
		return InitComplete{}, err
	}
	return InitComplete{Version(le.Uint32(p)), le.Uint32(p[4:]), Status(le.Uint32(p[8:]))}, nil
}

// AppendTo appends the encoded message to b.
func (m InitComplete) AppendTo(b []byte) []byte {
	b = le.AppendUint32(appendType(b, TypeInitComplete), uint32(m.Negotiated))
	b = le.AppendUint32(b, m.MaxMDLChain)
	return le.AppendUint32(b, uint32(m.Status))
}

// SendNDISVersion tells the host which NDIS version the OIDs follow, for
// example 6 and 30. It has no answer of its own.
type SendNDISVersion struct {
	Major, Minor uint32
}

// SendNDISVersionSize is the encoded size of a SendNDISVersion.
const SendNDISVersionSize = 12

// DecodeSendNDISVersion reads a SendNDISVersion.
func DecodeSendNDISVersion(b []byte) (SendNDISVersion, error) {
	p, err := body(b, SendNDISVersionSize, TypeSendNDISVersion, "SendNDISVersion")
	if err != nil {
		return SendNDISVersion{}, err
	}
	return SendNDISVersion{le.Uint32(p), le.Uint32(p[4:])}, nil
}

// AppendTo appends the encoded message to b.
func (m SendNDISVersion) AppendTo(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(appendType(b, TypeSendNDISVersion), m.Major), m.Minor)
}

// SendNDISConfig gives MTU and capabilities; it exists from version 2 on and
// must precede SendReceiveBuffer, whose slots the host sizes by MTU. MTU counts
// the 14-byte Ethernet header.
type SendNDISConfig struct {
	MTU          uint32 // bytes, Ethernet header included
	Capabilities uint64
}

// Capabilities of SendNDISConfig.
const (
	CapVMQ             = 1 << 0
	CapChimney         = 1 << 1
	CapSRIOV           = 1 << 2
	CapIEEE8021Q       = 1 << 3
	CapCorrelationID   = 1 << 4
	CapTeaming         = 1 << 5
	CapVirtualSubnetID = 1 << 6
	CapRSCOverVMBus    = 1 << 7
)

// SendNDISConfigSize is the encoded size of a SendNDISConfig.
const SendNDISConfigSize = 20

// DecodeSendNDISConfig reads a SendNDISConfig.
func DecodeSendNDISConfig(b []byte) (SendNDISConfig, error) {
	p, err := body(b, SendNDISConfigSize, TypeSendNDISConfig, "SendNDISConfig")
	if err != nil {
		return SendNDISConfig{}, err
	}
	return SendNDISConfig{le.Uint32(p), le.Uint64(p[8:])}, nil
}

// AppendTo appends the encoded message to b.
func (m SendNDISConfig) AppendTo(b []byte) []byte {
	b = le.AppendUint32(appendType(b, TypeSendNDISConfig), m.MTU)
	b = le.AppendUint32(b, 0) // reserved
	return le.AppendUint64(b, m.Capabilities)
}

// SharedBuffer is the body of SendReceiveBuffer and SendSendBuffer: the GPADL
// of guest memory and the ID by which transfer-page packets name it.
type SharedBuffer struct {
	Type  Type // TypeSendReceiveBuffer or TypeSendSendBuffer
	GPADL uint32
	ID    uint16
}

// SharedBufferSize is the encoded size of a SharedBuffer.
const SharedBufferSize = 12

// DecodeSharedBuffer reads a SharedBuffer of type want.
func DecodeSharedBuffer(b []byte, want Type) (SharedBuffer, error) {
	p, err := body(b, SharedBufferSize, want, "SharedBuffer")
	if err != nil {
		return SharedBuffer{}, err
	}
	return SharedBuffer{want, le.Uint32(p), le.Uint16(p[4:])}, nil
}

// AppendTo appends the encoded message to b.
func (m SharedBuffer) AppendTo(b []byte) []byte {
	b = le.AppendUint32(appendType(b, m.Type), m.GPADL)
	b = le.AppendUint16(b, m.ID)
	return le.AppendUint16(b, 0) // reserved
}

// Section is one run of equal slots in the receive buffer, in bytes.
//
//	Offset          Offset+SlotSize                    End
//	+--------------+--------------+-- ... --+---------+
//	| slot 0       | slot 1       |         | slot n-1|
//	+--------------+--------------+-- ... --+---------+
type Section struct {
	Offset, SlotSize, Slots, End uint32
}

// SectionSize is the encoded size of a Section.
const SectionSize = 16

// MaxSections bounds what a decoder accepts. No known host sends more than one.
const MaxSections = 16

// SendReceiveBufferComplete answers SendReceiveBuffer. More than one section
// makes the message longer than MessageSize.
type SendReceiveBufferComplete struct {
	Status   Status
	Sections []Section
}

// SendReceiveBufferCompleteSize is the encoded size without sections.
const SendReceiveBufferCompleteSize = 12

// DecodeSendReceiveBufferComplete reads a SendReceiveBufferComplete. The
// sections are not checked against the buffer: its size is the caller's.
func DecodeSendReceiveBufferComplete(b []byte) (m SendReceiveBufferComplete, err error) {
	p, err := body(b, SendReceiveBufferCompleteSize, TypeSendReceiveBufferComplete, "SendReceiveBufferComplete")
	if err != nil {
		return m, err
	}
	m.Status = Status(le.Uint32(p))
	n := le.Uint32(p[4:])
	p = p[8:]
	if n > MaxSections {
		return m, fmt.Errorf("NVSP SendReceiveBufferComplete: %d sections, at most %d are understood", n, MaxSections)
	}
	if len(p) < int(n)*SectionSize {
		return m, fmt.Errorf("NVSP SendReceiveBufferComplete: %w: %d bytes for %d sections", ErrShort, len(p), n)
	}
	for ; n > 0; n-- {
		m.Sections = append(m.Sections, Section{le.Uint32(p), le.Uint32(p[4:]), le.Uint32(p[8:]), le.Uint32(p[12:])})
		p = p[SectionSize:]
	}
	return m, nil
}

// AppendTo appends the encoded message to b.
func (m SendReceiveBufferComplete) AppendTo(b []byte) []byte {
	b = le.AppendUint32(appendType(b, TypeSendReceiveBufferComplete), uint32(m.Status))
	b = le.AppendUint32(b, uint32(len(m.Sections)))
	for _, s := range m.Sections {
		b = le.AppendUint32(le.AppendUint32(b, s.Offset), s.SlotSize)
		b = le.AppendUint32(le.AppendUint32(b, s.Slots), s.End)
	}
	return b
}

// SendSendBufferComplete answers SendSendBuffer. The host chooses SectionSize,
// in bytes; section i starts at i*SectionSize of the send buffer.
type SendSendBufferComplete struct {
	Status      Status
	SectionSize uint32
}

// SendSendBufferCompleteSize is the encoded size of a SendSendBufferComplete.
const SendSendBufferCompleteSize = 12

// DecodeSendSendBufferComplete reads a SendSendBufferComplete.
func DecodeSendSendBufferComplete(b []byte) (SendSendBufferComplete, error) {
	p, err := body(b, SendSendBufferCompleteSize, TypeSendSendBufferComplete, "SendSendBufferComplete")
	if err != nil {
		return SendSendBufferComplete{}, err
	}
	return SendSendBufferComplete{Status(le.Uint32(p)), le.Uint32(p[4:])}, nil
}

// AppendTo appends the encoded message to b.
func (m SendSendBufferComplete) AppendTo(b []byte) []byte {
	b = le.AppendUint32(appendType(b, TypeSendSendBufferComplete), uint32(m.Status))
	return le.AppendUint32(b, m.SectionSize)
}

// RevokeBuffer takes a shared buffer back; it has no answer.
type RevokeBuffer struct {
	Type Type // TypeRevokeReceiveBuffer or TypeRevokeSendBuffer
	ID   uint16
}

// RevokeBufferSize is the encoded size of a RevokeBuffer.
const RevokeBufferSize = 6

// DecodeRevokeBuffer reads a RevokeBuffer of type want.
func DecodeRevokeBuffer(b []byte, want Type) (RevokeBuffer, error) {
	p, err := body(b, RevokeBufferSize, want, "RevokeBuffer")
	if err != nil {
		return RevokeBuffer{}, err
	}
	return RevokeBuffer{want, le.Uint16(p)}, nil
}

// AppendTo appends the encoded message to b.
func (m RevokeBuffer) AppendTo(b []byte) []byte {
	return le.AppendUint16(appendType(b, m.Type), m.ID)
}
