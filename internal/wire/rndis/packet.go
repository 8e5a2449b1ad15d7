// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package rndis

import "fmt"

// Packet is a packet message without its header's type. Offsets count from the
// end of the header, lengths are bytes. Out-of-band data (OOB) and VCHandle
// belong to connection-oriented devices and are zero here.
type Packet struct {
	Length     uint32 // of the whole message, header and padding included
	DataOffset uint32
	DataLength uint32
	OOBOffset  uint32
	OOBLength  uint32
	OOBCount   uint32
	PPIOffset  uint32
	PPILength  uint32
	VCHandle   uint32
	Reserved   uint32
}

// PacketSize is the encoded size of a Packet: the header, then 36 bytes
// (rndis_packet in BTF).
const PacketSize = HeaderSize + 36

// DecodePacket reads a Packet. Its ranges are not checked: Data and PPIs do that.
func DecodePacket(b []byte) (m Packet, err error) { return DecodePacketPrefix(b, len(b)) }

// AppendTo appends the encoded message, header included, to b.
func (m Packet) AppendTo(b []byte) []byte {
	b = Header{TypePacket, m.Length}.AppendTo(b)
	b = le.AppendUint32(le.AppendUint32(b, m.DataOffset), m.DataLength)
	b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, m.OOBOffset), m.OOBLength), m.OOBCount)
	b = le.AppendUint32(le.AppendUint32(b, m.PPIOffset), m.PPILength)
	return le.AppendUint32(le.AppendUint32(b, m.VCHandle), m.Reserved)
}

// DecodePacketPrefix reads a Packet from b, a private copy of at least the
// first PacketSize bytes of a message that ends at most size bytes after its
// start. A receiver that leaves the frame where it is uses this, then DataRange.
func DecodePacketPrefix(b []byte, size int) (m Packet, err error) {
	if len(b) < PacketSize {
		return m, fmt.Errorf("RNDIS Packet: %w: %d of %d bytes", ErrShort, len(b), PacketSize)
	}
	h := Header{Type(le.Uint32(b)), le.Uint32(b[4:])}
	if h.Type != TypePacket {
		return m, fmt.Errorf("RNDIS Packet: %w: 0x%X", ErrType, uint32(h.Type))
	}
	if h.Length < PacketSize || uint64(h.Length) > uint64(size) {
		return m, fmt.Errorf("RNDIS Packet: %w: length %d in %d bytes", ErrLength, h.Length, size)
	}
	p := b[HeaderSize:]
	return Packet{
		Length:     h.Length,
		DataOffset: le.Uint32(p), DataLength: le.Uint32(p[4:]),
		OOBOffset: le.Uint32(p[8:]), OOBLength: le.Uint32(p[12:]), OOBCount: le.Uint32(p[16:]),
		PPIOffset: le.Uint32(p[20:]), PPILength: le.Uint32(p[24:]),
		VCHandle: le.Uint32(p[28:]), Reserved: le.Uint32(p[32:]),
	}, nil
}

// DataRange returns where the Ethernet frame starts and ends, in bytes from
// the start of the message; both lie inside it.
func (m Packet) DataRange() (start, end int, err error) {
	s := uint64(m.DataOffset) + HeaderSize
	e := s + uint64(m.DataLength)
	if s < PacketSize || e > uint64(m.Length) {
		return 0, 0, fmt.Errorf("RNDIS Packet data: %w: %d bytes at %d of a message of %d", ErrLength, m.DataLength, m.DataOffset, m.Length)
	}
	return int(s), int(e), nil
}

// Data returns the Ethernet frame inside msg, the message m was decoded from.
// msg may be longer than the message.
func (m Packet) Data(msg []byte) ([]byte, error) {
	return part(msg[:min(len(msg), int(m.Length))], PacketSize, m.DataOffset, m.DataLength, "Packet data")
}

// PPIs returns the area of per-packet information inside msg, to be read with
// NextPPI.
func (m Packet) PPIs(msg []byte) ([]byte, error) {
	return part(msg[:min(len(msg), int(m.Length))], PacketSize, m.PPIOffset, m.PPILength, "Packet information")
}

// PPIType says what a piece of per-packet information means.
type PPIType uint32

// Types of per-packet information.
const (
	PPIChecksum  PPIType = 0 // ChecksumTx or ChecksumRx, by direction
	PPILSO       PPIType = 2
	PPIVLAN      PPIType = 6
	PPIHashValue PPIType = 8
	PPIHashInfo  PPIType = 9

	// PPIInternal marks types that NetVSP defines beside those of NDIS.
	PPIInternal PPIType = 1 << 31
	// PPIPacketID tells which fragments of the receive buffer belong together.
	PPIPacketID = PPIInternal | 1
)

// PPIHeader starts a piece of per-packet information. Offset is that of the data from
// the start of the PPI.
type PPIHeader struct {
	Size   uint32 // header included
	Type   PPIType
	Offset uint32
}

// PPIHeaderSize is the encoded size of a PPIHeader.
const PPIHeaderSize = 12

// AppendTo appends the encoded header to b.
func (h PPIHeader) AppendTo(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(le.AppendUint32(b, h.Size), uint32(h.Type)), h.Offset)
}

// PPI32Size is the encoded size of a PPI with one 32-bit value, as all PPIs
// above carry.
const PPI32Size = PPIHeaderSize + 4

// AppendPPI32 appends a PPI with one 32-bit value.
func AppendPPI32(b []byte, t PPIType, v uint32) []byte {
	return le.AppendUint32(PPIHeader{PPI32Size, t, PPIHeaderSize}.AppendTo(b), v)
}

// NextPPI splits the first PPI off b, which PPIs returned. Data and rest alias
// b. Every PPI takes at least PPIHeaderSize bytes, so a loop over rest ends.
func NextPPI(b []byte) (t PPIType, data, rest []byte, err error) {
	if len(b) < PPIHeaderSize {
		return 0, nil, nil, fmt.Errorf("RNDIS PPI: %w: %d bytes", ErrShort, len(b))
	}
	h := PPIHeader{le.Uint32(b), PPIType(le.Uint32(b[4:])), le.Uint32(b[8:])}
	if h.Size < PPIHeaderSize || uint64(h.Size) > uint64(len(b)) || h.Offset < PPIHeaderSize || h.Offset > h.Size {
		return 0, nil, nil, fmt.Errorf("RNDIS PPI: %w: size %d, data at %d, in %d bytes", ErrLength, h.Size, h.Offset, len(b))
	}
	return h.Type, b[h.Offset:h.Size:h.Size], b[h.Size:], nil
}

// PPI32 returns the 32-bit value of a PPI's data.
func PPI32(data []byte) (uint32, error) {
	if len(data) < 4 {
		return 0, fmt.Errorf("RNDIS PPI: %w: %d bytes of data", ErrShort, len(data))
	}
	return le.Uint32(data), nil
}

// ChecksumTx asks the host to fill in checksums. The field in the frame must
// hold the sum of the pseudo header. Offset is that of the TCP or UDP header
// from the start of the frame.
type ChecksumTx uint32

// Bits of ChecksumTx.
const (
	ChecksumTxIPv4     ChecksumTx = 1 << 0
	ChecksumTxIPv6     ChecksumTx = 1 << 1
	ChecksumTxTCP      ChecksumTx = 1 << 2
	ChecksumTxUDP      ChecksumTx = 1 << 3
	ChecksumTxIPHeader ChecksumTx = 1 << 4
)

// WithOffset returns c with the transport header's offset, up to 1023.
func (c ChecksumTx) WithOffset(n int) ChecksumTx { return c&^(0x3FF<<16) | ChecksumTx(n&0x3FF)<<16 }

// Offset returns the transport header's offset.
func (c ChecksumTx) Offset() int { return int(c >> 16 & 0x3FF) }

// ChecksumRx reports what the host found about a frame's checksums. Neither
// succeeded nor failed means not looked at.
type ChecksumRx uint32

// Bits of ChecksumRx.
const (
	ChecksumRxTCPFailed       ChecksumRx = 1 << 0
	ChecksumRxUDPFailed       ChecksumRx = 1 << 1
	ChecksumRxIPFailed        ChecksumRx = 1 << 2
	ChecksumRxTCPSucceeded    ChecksumRx = 1 << 3
	ChecksumRxUDPSucceeded    ChecksumRx = 1 << 4
	ChecksumRxIPSucceeded     ChecksumRx = 1 << 5
	ChecksumRxLoopback        ChecksumRx = 1 << 6
	ChecksumRxTCPValueInvalid ChecksumRx = 1 << 7 // field holds no checksum
	ChecksumRxIPValueInvalid  ChecksumRx = 1 << 8
)

// LSO asks the host to cut a large TCP frame into segments (version 2 of large
// send offload).
type LSO uint32

// NewLSO returns the information for segments of mss bytes of payload whose
// TCP header is at offset of the frame.
func NewLSO(mss, offset int, ipv6 bool) LSO {
	v := LSO(mss&0xFFFFF) | LSO(offset&0x3FF)<<20 | 1<<30 // bit 30: version 2
	if ipv6 {
		v |= 1 << 31
	}
	return v
}

// MSS returns the payload bytes of a segment.
func (l LSO) MSS() int { return int(l & 0xFFFFF) }

// Offset returns the TCP header's offset in the frame.
func (l LSO) Offset() int { return int(l >> 20 & 0x3FF) }

// IPv6 tells the IP version.
func (l LSO) IPv6() bool { return l>>31 != 0 }

// VLAN is the tag of IEEE 802.1Q, kept out of the frame: priority in bits 0-2,
// drop eligible in bit 3, VLAN ID in bits 4-15.
type VLAN uint32

// NewVLAN returns the information for a tag.
func NewVLAN(id, priority int, dropEligible bool) VLAN {
	v := VLAN(priority&7) | VLAN(id&0xFFF)<<4
	if dropEligible {
		v |= 8
	}
	return v
}

// ID returns the VLAN's number.
func (v VLAN) ID() int { return int(v >> 4 & 0xFFF) }

// Priority returns the priority code point.
func (v VLAN) Priority() int { return int(v & 7) }

// DropEligible returns the drop eligible indicator.
func (v VLAN) DropEligible() bool { return v&8 != 0 }
