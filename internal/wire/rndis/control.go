// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package rndis

// Initialize opens the RNDIS conversation.
type Initialize struct {
	RequestID       uint32
	Major, Minor    uint32
	MaxTransferSize uint32 // bytes the sender takes in one transfer
}

// InitializeSize is the encoded size of an Initialize.
const InitializeSize = HeaderSize + 16

// DecodeInitialize reads an Initialize.
func DecodeInitialize(b []byte) (m Initialize, err error) {
	p, err := body(b, InitializeSize, TypeInitialize, "Initialize")
	if err != nil {
		return m, err
	}
	return Initialize{le.Uint32(p), le.Uint32(p[4:]), le.Uint32(p[8:]), le.Uint32(p[12:])}, nil
}

// AppendTo appends the encoded message to b.
func (m Initialize) AppendTo(b []byte) []byte {
	b = Header{TypeInitialize, InitializeSize}.AppendTo(b)
	return append32(b, m.RequestID, m.Major, m.Minor, m.MaxTransferSize)
}

// InitializeComplete answers Initialize.
type InitializeComplete struct {
	RequestID            uint32
	Status               Status
	Major, Minor         uint32
	DeviceFlags          uint32
	Medium               uint32
	MaxPacketsPerMessage uint32 // packet messages the device takes in one transfer
	MaxTransferSize      uint32 // bytes the device takes in one transfer
	AlignmentFactor      uint32 // packet messages start at multiples of 1<<AlignmentFactor
	AFListOffset         uint32 // zero for connectionless devices
	AFListSize           uint32
}

// InitializeCompleteSize is the encoded size of an InitializeComplete.
const InitializeCompleteSize = HeaderSize + 44

// DecodeInitializeComplete reads an InitializeComplete.
func DecodeInitializeComplete(b []byte) (m InitializeComplete, err error) {
	p, err := body(b, InitializeCompleteSize, TypeInitializeComplete, "InitializeComplete")
	if err != nil {
		return m, err
	}
	return InitializeComplete{
		RequestID: le.Uint32(p), Status: Status(le.Uint32(p[4:])),
		Major: le.Uint32(p[8:]), Minor: le.Uint32(p[12:]),
		DeviceFlags: le.Uint32(p[16:]), Medium: le.Uint32(p[20:]),
		MaxPacketsPerMessage: le.Uint32(p[24:]), MaxTransferSize: le.Uint32(p[28:]),
		AlignmentFactor: le.Uint32(p[32:]), AFListOffset: le.Uint32(p[36:]), AFListSize: le.Uint32(p[40:]),
	}, nil
}

// AppendTo appends the encoded message to b.
func (m InitializeComplete) AppendTo(b []byte) []byte {
	b = Header{TypeInitializeComplete, InitializeCompleteSize}.AppendTo(b)
	return append32(b, m.RequestID, uint32(m.Status), m.Major, m.Minor, m.DeviceFlags, m.Medium,
		m.MaxPacketsPerMessage, m.MaxTransferSize, m.AlignmentFactor, m.AFListOffset, m.AFListSize)
}

// Halt ends the conversation; it has no answer.
type Halt struct {
	RequestID uint32
}

// HaltSize is the encoded size of a Halt.
const HaltSize = HeaderSize + 4

// DecodeHalt reads a Halt.
func DecodeHalt(b []byte) (m Halt, err error) {
	p, err := body(b, HaltSize, TypeHalt, "Halt")
	if err != nil {
		return m, err
	}
	return Halt{le.Uint32(p)}, nil
}

// AppendTo appends the encoded message to b.
func (m Halt) AppendTo(b []byte) []byte {
	return append32(Header{TypeHalt, HaltSize}.AppendTo(b), m.RequestID)
}

// Request is a Query or a Set of one OID. Its information buffer, InfoLength
// bytes, stands at InfoOffset from the end of the header.
type Request struct {
	Type       Type // TypeQuery or TypeSet
	RequestID  uint32
	OID        OID
	InfoLength uint32
	InfoOffset uint32
	VCHandle   uint32 // 0: connectionless
}

// RequestSize is the encoded size of a Request without its information.
const RequestSize = HeaderSize + 20

// DecodeRequest reads a Request of type want.
func DecodeRequest(b []byte, want Type) (m Request, err error) {
	p, err := body(b, RequestSize, want, "Request")
	if err != nil {
		return m, err
	}
	return Request{want, le.Uint32(p), OID(le.Uint32(p[4:])), le.Uint32(p[8:]), le.Uint32(p[12:]), le.Uint32(p[16:])}, nil
}

// Info returns the information buffer inside msg, the message m was decoded
// from.
func (m Request) Info(msg []byte) ([]byte, error) {
	return part(msg, RequestSize, m.InfoOffset, m.InfoLength, "Request information")
}

// AppendRequest appends a Query or Set with its information.
func AppendRequest(b []byte, t Type, requestID uint32, oid OID, info []byte) []byte {
	n := uint32(len(info))
	b = Header{t, RequestSize + n}.AppendTo(b)
	b = append32(b, requestID, uint32(oid), n, RequestSize-HeaderSize, 0)
	return append(b, info...)
}

// QueryComplete answers a Query.
type QueryComplete struct {
	RequestID  uint32
	Status     Status
	InfoLength uint32
	InfoOffset uint32
}

// QueryCompleteSize is the encoded size of a QueryComplete without its
// information.
const QueryCompleteSize = HeaderSize + 16

// DecodeQueryComplete reads a QueryComplete.
func DecodeQueryComplete(b []byte) (m QueryComplete, err error) {
	p, err := body(b, QueryCompleteSize, TypeQueryComplete, "QueryComplete")
	if err != nil {
		return m, err
	}
	return QueryComplete{le.Uint32(p), Status(le.Uint32(p[4:])), le.Uint32(p[8:]), le.Uint32(p[12:])}, nil
}

// Info returns the information buffer inside msg, the message m was decoded
// from.
func (m QueryComplete) Info(msg []byte) ([]byte, error) {
	return part(msg, QueryCompleteSize, m.InfoOffset, m.InfoLength, "QueryComplete information")
}

// AppendQueryComplete appends a QueryComplete with its information.
func AppendQueryComplete(b []byte, requestID uint32, s Status, info []byte) []byte {
	n := uint32(len(info))
	b = Header{TypeQueryComplete, QueryCompleteSize + n}.AppendTo(b)
	b = append32(b, requestID, uint32(s), n, QueryCompleteSize-HeaderSize)
	return append(b, info...)
}

// SetComplete answers a Set.
type SetComplete struct {
	RequestID uint32
	Status    Status
}

// SetCompleteSize is the encoded size of a SetComplete.
const SetCompleteSize = HeaderSize + 8

// DecodeSetComplete reads a SetComplete.
func DecodeSetComplete(b []byte) (m SetComplete, err error) {
	p, err := body(b, SetCompleteSize, TypeSetComplete, "SetComplete")
	if err != nil {
		return m, err
	}
	return SetComplete{le.Uint32(p), Status(le.Uint32(p[4:]))}, nil
}

// AppendTo appends the encoded message to b.
func (m SetComplete) AppendTo(b []byte) []byte {
	return append32(Header{TypeSetComplete, SetCompleteSize}.AppendTo(b), m.RequestID, uint32(m.Status))
}

// Keepalive asks whether the other side lives; either side may send it.
type Keepalive struct {
	RequestID uint32
}

// KeepaliveSize is the encoded size of a Keepalive.
const KeepaliveSize = HeaderSize + 4

// DecodeKeepalive reads a Keepalive.
func DecodeKeepalive(b []byte) (m Keepalive, err error) {
	p, err := body(b, KeepaliveSize, TypeKeepalive, "Keepalive")
	if err != nil {
		return m, err
	}
	return Keepalive{le.Uint32(p)}, nil
}

// AppendTo appends the encoded message to b.
func (m Keepalive) AppendTo(b []byte) []byte {
	return append32(Header{TypeKeepalive, KeepaliveSize}.AppendTo(b), m.RequestID)
}

// KeepaliveComplete answers a Keepalive.
type KeepaliveComplete struct {
	RequestID uint32
	Status    Status
}

// KeepaliveCompleteSize is the encoded size of a KeepaliveComplete.
const KeepaliveCompleteSize = HeaderSize + 8

// DecodeKeepaliveComplete reads a KeepaliveComplete.
func DecodeKeepaliveComplete(b []byte) (m KeepaliveComplete, err error) {
	p, err := body(b, KeepaliveCompleteSize, TypeKeepaliveComplete, "KeepaliveComplete")
	if err != nil {
		return m, err
	}
	return KeepaliveComplete{le.Uint32(p), Status(le.Uint32(p[4:]))}, nil
}

// AppendTo appends the encoded message to b.
func (m KeepaliveComplete) AppendTo(b []byte) []byte {
	return append32(Header{TypeKeepaliveComplete, KeepaliveCompleteSize}.AppendTo(b), m.RequestID, uint32(m.Status))
}

// IndicateStatus reports a change, such as StatusMediaDisconnect, unasked. Its
// buffer, BufferLength bytes, stands at BufferOffset from the end of the header.
type IndicateStatus struct {
	Status       Status
	BufferLength uint32
	BufferOffset uint32
}

// IndicateStatusSize is the encoded size of an IndicateStatus without buffer.
const IndicateStatusSize = HeaderSize + 12

// DecodeIndicateStatus reads an IndicateStatus.
func DecodeIndicateStatus(b []byte) (m IndicateStatus, err error) {
	p, err := body(b, IndicateStatusSize, TypeIndicateStatus, "IndicateStatus")
	if err != nil {
		return m, err
	}
	return IndicateStatus{Status(le.Uint32(p)), le.Uint32(p[4:]), le.Uint32(p[8:])}, nil
}

// Buffer returns the status buffer inside msg, the message m was decoded from.
func (m IndicateStatus) Buffer(msg []byte) ([]byte, error) {
	return part(msg, IndicateStatusSize, m.BufferOffset, m.BufferLength, "IndicateStatus buffer")
}

// AppendIndicateStatus appends an IndicateStatus with its buffer.
func AppendIndicateStatus(b []byte, s Status, buffer []byte) []byte {
	n, off := uint32(len(buffer)), uint32(0)
	if n > 0 {
		off = IndicateStatusSize - HeaderSize
	}
	b = Header{TypeIndicateStatus, IndicateStatusSize + n}.AppendTo(b)
	return append(append32(b, uint32(s), n, off), buffer...)
}
