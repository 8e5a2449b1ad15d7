// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package rndis

import "fmt"

// OID names an object that Query reads and Set writes.
type OID uint32

// Object identifiers in use.
const (
	OIDGenSupportedList       OID = 0x00010101
	OIDGenHardwareStatus      OID = 0x00010102
	OIDGenMediaSupported      OID = 0x00010103
	OIDGenMediaInUse          OID = 0x00010104
	OIDGenMaximumLookahead    OID = 0x00010105
	OIDGenMaximumFrameSize    OID = 0x00010106 // u32 bytes, without Ethernet header
	OIDGenLinkSpeed           OID = 0x00010107 // u32, units of 100 bit/s
	OIDGenTransmitBufferSpace OID = 0x00010108
	OIDGenReceiveBufferSpace  OID = 0x00010109
	OIDGenTransmitBlockSize   OID = 0x0001010A
	OIDGenReceiveBlockSize    OID = 0x0001010B
	OIDGenVendorID            OID = 0x0001010C
	OIDGenVendorDescription   OID = 0x0001010D
	OIDGenPacketFilter        OID = 0x0001010E // u32, Filter bits
	OIDGenCurrentLookahead    OID = 0x0001010F
	OIDGenDriverVersion       OID = 0x00010110
	OIDGenMaximumTotalSize    OID = 0x00010111 // u32 bytes, with Ethernet header
	OIDGenMACOptions          OID = 0x00010113
	OIDGenMediaConnectStatus  OID = 0x00010114 // u32, Media values
	OIDGenMaximumSendPackets  OID = 0x00010115
	OIDGenVendorDriverVersion OID = 0x00010116
	OIDGenRSSCapabilities     OID = 0x00010203
	OIDGenRSSParameters       OID = 0x00010204
	OIDGenLinkState           OID = 0x00010207 // LinkState
	OIDGenConfigParameter     OID = 0x0001021B

	OIDGenTransmitOK    OID = 0x00020101
	OIDGenReceiveOK     OID = 0x00020102
	OIDGenTransmitError OID = 0x00020103
	OIDGenReceiveError  OID = 0x00020104
	OIDGenNoBuffer      OID = 0x00020105
	OIDGenFriendlyName  OID = 0x00020216 // UTF-16

	OID8023PermanentAddress OID = 0x01010101 // 6 bytes
	OID8023CurrentAddress   OID = 0x01010102 // 6 bytes
	OID8023MulticastList    OID = 0x01010103
	OID8023MaximumListSize  OID = 0x01010104
	OIDOffloadEncapsulation OID = 0x0101010A

	OIDTCPOffloadCurrentConfig        OID = 0xFC01020B // Offload
	OIDTCPOffloadParameters           OID = 0xFC01020C // OffloadParameters, Set only
	OIDTCPOffloadHardwareCapabilities OID = 0xFC01020D // Offload
)

func (o OID) String() string { return fmt.Sprintf("OID 0x%08X", uint32(o)) }

// Values of OIDGenMediaConnectStatus.
const (
	MediaConnected    = 0
	MediaDisconnected = 1
)

// Bits of OIDGenPacketFilter.
const (
	FilterNone         = 0
	FilterDirected     = 1 << 0
	FilterMulticast    = 1 << 1
	FilterAllMulticast = 1 << 2
	FilterBroadcast    = 1 << 3
	FilterPromiscuous  = 1 << 5
)

// ObjectHeader starts NDIS objects. Size counts bytes, the header included.
type ObjectHeader struct {
	Type     uint8
	Revision uint8
	Size     uint16
}

// ObjectHeaderSize is the encoded size of an ObjectHeader.
const ObjectHeaderSize = 4

// Types of NDIS objects.
const (
	ObjectDefault              = 0x80
	ObjectRSSCapabilities      = 0x88
	ObjectRSSParameters        = 0x89
	ObjectOffload              = 0xA7
	ObjectOffloadEncapsulation = 0xA8
)

// DecodeObjectHeader reads an ObjectHeader and checks that b holds the object.
func DecodeObjectHeader(b []byte) (ObjectHeader, error) {
	if len(b) < ObjectHeaderSize {
		return ObjectHeader{}, fmt.Errorf("NDIS object: %w: %d bytes", ErrShort, len(b))
	}
	h := ObjectHeader{b[0], b[1], le.Uint16(b[2:])}
	if h.Size < ObjectHeaderSize || int(h.Size) > len(b) {
		return ObjectHeader{}, fmt.Errorf("NDIS object: %w: size %d in %d bytes", ErrLength, h.Size, len(b))
	}
	return h, nil
}

// AppendTo appends the encoded header to b.
func (h ObjectHeader) AppendTo(b []byte) []byte {
	return le.AppendUint16(append(b, h.Type, h.Revision), h.Size)
}

// ChecksumCaps are the checksum abilities of one direction and IP version: two bits
// each, nonzero means able.
//
//	IPv4: bit 0 IP options, 2 TCP options, 4 TCP, 6 UDP, 8 IP header
//	IPv6: bit 0 extension headers, 2 TCP options, 4 TCP, 6 UDP
type ChecksumCaps uint32

// Fields of ChecksumCaps. A field is set when any of its two bits is.
const (
	CapIPOptions  ChecksumCaps = 1 << 0
	CapTCPOptions ChecksumCaps = 1 << 2
	CapTCP        ChecksumCaps = 1 << 4
	CapUDP        ChecksumCaps = 1 << 6
	CapIPHeader   ChecksumCaps = 1 << 8
)

// Has tells whether the host can do all of want.
func (c ChecksumCaps) Has(want ChecksumCaps) bool {
	for f := CapIPOptions; f <= CapIPHeader; f <<= 2 {
		if want&f != 0 && c&(f|f<<1) == 0 {
			return false
		}
	}
	return true
}

// Offload is the common part of all revisions of NDIS_OFFLOAD: checksums, and
// version 2 of large send offload. The Encapsulation fields of the object are
// written as Ethernet and not read.
type Offload struct {
	IPv4Tx, IPv4Rx, IPv6Tx, IPv6Rx ChecksumCaps

	LSOv4MaxSize     uint32 // bytes of IP payload, 0: no offload
	LSOv4MinSegments uint32
	LSOv6MaxSize     uint32
	LSOv6MinSegments uint32
	LSOv6Flags       uint32
}

// Sizes of NDIS_OFFLOAD by revision: NDIS 6.0, 6.1 and 6.30.
const (
	OffloadSizeRevision1 = 112
	OffloadSizeRevision2 = 144
	OffloadSizeRevision3 = 156

	encapsulation8023 = 2
	offloadChecksum   = 4  // 4 x (encapsulation, flags)
	offloadLSOv2      = 80 // behind LSO version 1 (16 bytes) and IPsec (28 bytes)
)

// DecodeOffload reads an NDIS_OFFLOAD of any revision.
func DecodeOffload(b []byte) (m Offload, err error) {
	h, err := DecodeObjectHeader(b)
	switch {
	case err != nil:
		return m, err
	case h.Type != ObjectOffload:
		return m, fmt.Errorf("NDIS offload: %w: 0x%X", ErrType, h.Type)
	case h.Size < OffloadSizeRevision1:
		return m, fmt.Errorf("NDIS offload: %w: %d bytes", ErrShort, h.Size)
	}
	c, l := b[offloadChecksum:], b[offloadLSOv2:]
	return Offload{
		IPv4Tx: ChecksumCaps(le.Uint32(c[4:])), IPv4Rx: ChecksumCaps(le.Uint32(c[12:])),
		IPv6Tx: ChecksumCaps(le.Uint32(c[20:])), IPv6Rx: ChecksumCaps(le.Uint32(c[28:])),
		LSOv4MaxSize: le.Uint32(l[4:]), LSOv4MinSegments: le.Uint32(l[8:]),
		LSOv6MaxSize: le.Uint32(l[16:]), LSOv6MinSegments: le.Uint32(l[20:]), LSOv6Flags: le.Uint32(l[24:]),
	}, nil
}

// AppendTo appends the object in its revision 3.
func (m Offload) AppendTo(b []byte) []byte {
	start := len(b)
	b = ObjectHeader{ObjectOffload, 3, OffloadSizeRevision3}.AppendTo(b)
	for _, c := range []ChecksumCaps{m.IPv4Tx, m.IPv4Rx, m.IPv6Tx, m.IPv6Rx} {
		b = append32(b, encapsulation8023, uint32(c))
	}
	b = append(b, make([]byte, start+offloadLSOv2-len(b))...)
	b = append32(b, encapsulationIf(m.LSOv4MaxSize), m.LSOv4MaxSize, m.LSOv4MinSegments,
		encapsulationIf(m.LSOv6MaxSize), m.LSOv6MaxSize, m.LSOv6MinSegments, m.LSOv6Flags)
	return append(b, make([]byte, start+OffloadSizeRevision3-len(b))...)
}

func encapsulationIf(size uint32) uint32 {
	if size == 0 {
		return 0
	}
	return encapsulation8023
}

// OffloadSetting is one byte of OffloadParameters.
type OffloadSetting uint8

// Values of checksum settings, and of LSO settings.
const (
	OffloadNoChange     OffloadSetting = 0
	ChecksumOff         OffloadSetting = 1
	ChecksumTransmit    OffloadSetting = 2
	ChecksumReceive     OffloadSetting = 3
	ChecksumBoth        OffloadSetting = 4
	LSOOff              OffloadSetting = 1
	LSOOn               OffloadSetting = 2
	offloadParametersR3                = 3
)

// OffloadParameters switches offloads on and off (NDIS_OFFLOAD_PARAMETERS).
type OffloadParameters struct {
	IPv4, TCPv4, UDPv4, TCPv6, UDPv6 OffloadSetting // checksums
	LSOv1                            OffloadSetting
	IPsecV1                          OffloadSetting
	LSOv2IPv4, LSOv2IPv6             OffloadSetting
}

// Sizes of NDIS_OFFLOAD_PARAMETERS: the least, and what NVSP 4 and 5 hosts expect.
const (
	OffloadParametersSizeMin = 20
	OffloadParametersSizeV4  = 22
	OffloadParametersSize    = 28
)

// DecodeOffloadParameters reads an OffloadParameters of any revision.
func DecodeOffloadParameters(b []byte) (m OffloadParameters, err error) {
	h, err := DecodeObjectHeader(b)
	switch {
	case err != nil:
		return m, err
	case h.Type != ObjectDefault:
		return m, fmt.Errorf("NDIS offload parameters: %w: 0x%X", ErrType, h.Type)
	case h.Size < OffloadParametersSizeMin:
		return m, fmt.Errorf("NDIS offload parameters: %w: %d bytes", ErrShort, h.Size)
	}
	s := func(i int) OffloadSetting { return OffloadSetting(b[ObjectHeaderSize+i]) }
	return OffloadParameters{s(0), s(1), s(2), s(3), s(4), s(5), s(6), s(7), s(8)}, nil
}

// AppendTo appends the object in revision 3, size bytes long, one of the sizes
// above.
func (m OffloadParameters) AppendTo(b []byte, size int) []byte {
	start := len(b)
	b = ObjectHeader{ObjectDefault, offloadParametersR3, uint16(size)}.AppendTo(b)
	for _, s := range []OffloadSetting{m.IPv4, m.TCPv4, m.UDPv4, m.TCPv6, m.UDPv6, m.LSOv1, m.IPsecV1, m.LSOv2IPv4, m.LSOv2IPv6} {
		b = append(b, byte(s))
	}
	return append(b, make([]byte, start+size-len(b))...)
}
