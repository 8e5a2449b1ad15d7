// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package ic holds the messages of the integration services: shutdown,
// heartbeat, time synchronisation and key-value exchange.
//
// Each service is a VMBus channel of its own. A message is the payload of an
// in-band packet, and the guest answers by sending the same message back with
// the response flag, a status, and what was asked for:
//
//	0             8            28
//	+-------------+------------+--------------------+
//	| pipe header | Header     | depends on type    |
//	+-------------+------------+--------------------+
//
//	host -> guest  NEGOTIATE, framework 1.0 3.0, message 1.0 3.0 3.1 3.2
//	guest -> host  NEGOTIATE, one framework version, one message version
//	host -> guest  SHUTDOWN, reason, timeout, flags
//	guest -> host  SHUTDOWN, status
//
// Sources: OpenVMM's hyperv_ic_protocol as facts; sizes agree with Linux's
// icmsg_hdr (20), shutdown_msg_data (2060) and heartbeat_msg_data (40).
package ic

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/guid"
)

// MaxMessageSize is the most that either side sends in one message, in bytes.
const MaxMessageSize = 13312

// ShutdownInstance is the instance id of the shutdown service; its interface
// id is vmbus.InterfaceShutdown.
var ShutdownInstance = guid.MustParse("b6650ff7-33bc-4840-8048-e0676786f393")

// MessageType numbers the services' messages.
type MessageType uint16

// Message types.
const (
	MsgNegotiate      MessageType = 0
	MsgHeartbeat      MessageType = 1
	MsgKVP            MessageType = 2
	MsgShutdown       MessageType = 3
	MsgTimeSync       MessageType = 4
	MsgVSS            MessageType = 5
	MsgGuestInterface MessageType = 7
)

// Header flags.
const (
	FlagTransaction = 1 << 0
	FlagRequest     = 1 << 1
	FlagResponse    = 1 << 2
)

// Status answers a message: a Windows HRESULT.
type Status uint32

// Statuses.
const (
	StatusSuccess      Status = 0
	StatusNoMoreItems  Status = 0x80070103
	StatusFail         Status = 0x80004005
	StatusNotSupported Status = 0x80070032
	StatusNotFound     Status = 0x80041002
)

// ErrMalformed is wrapped by all errors of this package.
var ErrMalformed = errors.New("malformed integration message")

func short(what string, b []byte, need int) error {
	return fmt.Errorf("ic: %s of %d bytes, need %d: %w", what, len(b), need, ErrMalformed)
}

// Version is a framework or message version. Its zero value means none.
type Version struct{ Major, Minor uint16 }

// VersionSize is the encoded size of a Version.
const VersionSize = 4

// String gives "major.minor".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Number makes versions comparable.
func (v Version) Number() uint32 { return uint32(v.Major)<<16 | uint32(v.Minor) }

// AppendTo appends the encoded version to b.
func (v Version) AppendTo(b []byte) []byte {
	return binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, v.Major), v.Minor)
}

func version(b []byte) Version {
	return Version{binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])}
}

// Header starts every message.
//
//	0           4      6           10     12      16       17      18    20
//	+-----------+------+-----------+------+-------+--------+-------+-----+
//	| framework | type | message   | size | status| transa | flags |  0  |
//	| version   |      | version   |      |       | ction  |       |     |
//	+-----------+------+-----------+------+-------+--------+-------+-----+
type Header struct {
	Framework   Version
	Type        MessageType
	Message     Version
	Size        uint16 // bytes after the header
	Status      Status
	Transaction uint8
	Flags       uint8
}

// HeaderSize is the encoded size of a Header.
const HeaderSize = 20

// DecodeHeader reads a header and gives the Size bytes that follow it in b.
func DecodeHeader(b []byte) (h Header, body []byte, err error) {
	if len(b) < HeaderSize {
		return h, nil, short("header", b, HeaderSize)
	}
	h = Header{
		Framework:   version(b[0:]),
		Type:        MessageType(binary.LittleEndian.Uint16(b[4:])),
		Message:     version(b[6:]),
		Size:        binary.LittleEndian.Uint16(b[10:]),
		Status:      Status(binary.LittleEndian.Uint32(b[12:])),
		Transaction: b[16],
		Flags:       b[17],
	}
	body = b[HeaderSize:]
	if int(h.Size) > len(body) {
		return Header{}, nil, fmt.Errorf("ic: header announces %d bytes, %d follow: %w", h.Size, len(body), ErrMalformed)
	}
	return h, body[:h.Size], nil
}

// AppendTo appends the encoded header to b.
func (h Header) AppendTo(b []byte) []byte {
	b = h.Framework.AppendTo(b)
	b = binary.LittleEndian.AppendUint16(b, uint16(h.Type))
	b = h.Message.AppendTo(b)
	b = binary.LittleEndian.AppendUint16(b, h.Size)
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Status))
	return append(b, h.Transaction, h.Flags, 0, 0)
}

// Negotiate offers versions (host) or names the chosen ones (guest).
//
//	0           2         4      8
//	+-----------+---------+------+-----------------------+---------------------+
//	| frameworks| messages|  0   | framework versions... | message versions... |
//	+-----------+---------+------+-----------------------+---------------------+
type Negotiate struct {
	Frameworks []Version
	Messages   []Version
}

// Sizes and limits of a Negotiate.
const (
	NegotiateMinSize = 8
	MaxVersions      = 64 // of each kind; hosts offer four
)

// DecodeNegotiate reads the body of a MsgNegotiate.
func DecodeNegotiate(b []byte) (n Negotiate, err error) {
	if len(b) < NegotiateMinSize {
		return n, short("negotiation", b, NegotiateMinSize)
	}
	nf := int(binary.LittleEndian.Uint16(b[0:]))
	nm := int(binary.LittleEndian.Uint16(b[2:]))
	if nf > MaxVersions || nm > MaxVersions {
		return n, fmt.Errorf("ic: negotiation of %d and %d versions: %w", nf, nm, ErrMalformed)
	}
	need := NegotiateMinSize + (nf+nm)*VersionSize
	if len(b) < need {
		return n, short("negotiation", b, need)
	}
	for i := range nf + nm {
		v := version(b[NegotiateMinSize+i*VersionSize:])
		if i < nf {
			n.Frameworks = append(n.Frameworks, v)
		} else {
			n.Messages = append(n.Messages, v)
		}
	}
	return n, nil
}

// AppendTo appends the encoded body to b.
func (n Negotiate) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(n.Frameworks)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(n.Messages)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, v := range n.Frameworks {
		b = v.AppendTo(b)
	}
	for _, v := range n.Messages {
		b = v.AppendTo(b)
	}
	return b
}

// Versions of the framework and of the shutdown service, oldest first.
var (
	FrameworkVersions = []Version{{1, 0}, {3, 0}}
	ShutdownVersions  = []Version{{1, 0}, {3, 0}, {3, 1}, {3, 2}}
)

// Shutdown flags.
const (
	ShutdownForce     = 1 << 0 // do not wait for programs
	ShutdownRestart   = 1 << 1
	ShutdownHibernate = 1 << 2
)

// ReasonPlanned is the reason code of an orderly shutdown (SHTDN_REASON_FLAG_PLANNED).
const ReasonPlanned = 0x80000000

// Shutdown asks the guest to stop.
//
//	0        4         8       12            2060
//	+--------+---------+-------+-------------+
//	| reason | timeout | flags | text, 0-end |
//	+--------+---------+-------+-------------+
type Shutdown struct {
	Reason  uint32
	Timeout uint32 // seconds; 0: the guest's own
	Flags   uint32
	Text    string // for people; at most 2047 bytes
}

// Sizes of a Shutdown. Hosts send all of it; the guest insists on the numbers
// only.
const (
	ShutdownMinSize  = 12
	ShutdownTextSize = 2048
	ShutdownSize     = ShutdownMinSize + ShutdownTextSize
)

// DecodeShutdown reads the body of a MsgShutdown request.
func DecodeShutdown(b []byte) (s Shutdown, err error) {
	if len(b) < ShutdownMinSize {
		return s, short("shutdown request", b, ShutdownMinSize)
	}
	s.Reason = binary.LittleEndian.Uint32(b[0:])
	s.Timeout = binary.LittleEndian.Uint32(b[4:])
	s.Flags = binary.LittleEndian.Uint32(b[8:])
	text := b[ShutdownMinSize:min(len(b), ShutdownSize)]
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	s.Text = string(text)
	return s, nil
}

// AppendTo appends the encoded body to b; a longer text is cut.
func (s Shutdown) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, s.Reason)
	b = binary.LittleEndian.AppendUint32(b, s.Timeout)
	b = binary.LittleEndian.AppendUint32(b, s.Flags)
	var text [ShutdownTextSize]byte
	copy(text[:ShutdownTextSize-1], s.Text)
	return append(b, text[:]...)
}
