// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package rndis

import "fmt"

// RSSCapabilities says how the host can spread received frames over several
// channels (NDIS_RECEIVE_SCALE_CAPABILITIES, revision 2).
type RSSCapabilities struct {
	Flags             uint32 // RSSCap bits, and a hash function
	InterruptMessages uint32
	Queues            uint32 // channels, the primary one included
	TableEntries      uint16 // of the indirection table, at most
}

// RSSCapabilitiesSize is the encoded size of an RSSCapabilities.
const RSSCapabilitiesSize = 18

// Bits of RSSCapabilities.Flags.
const (
	RSSCapTCPv4 = 1 << 8
	RSSCapTCPv6 = 1 << 9
)

// DecodeRSSCapabilities reads an RSSCapabilities.
func DecodeRSSCapabilities(b []byte) (m RSSCapabilities, err error) {
	h, err := DecodeObjectHeader(b)
	switch {
	case err != nil:
		return m, err
	case h.Type != ObjectRSSCapabilities:
		return m, fmt.Errorf("NDIS RSS capabilities: %w: 0x%X", ErrType, h.Type)
	case h.Size < RSSCapabilitiesSize:
		return m, fmt.Errorf("NDIS RSS capabilities: %w: %d bytes", ErrShort, h.Size)
	}
	return RSSCapabilities{le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:]), le.Uint16(b[16:])}, nil
}

// AppendTo appends the encoded object to b.
func (m RSSCapabilities) AppendTo(b []byte) []byte {
	b = ObjectHeader{ObjectRSSCapabilities, 2, RSSCapabilitiesSize}.AppendTo(b)
	b = append32(b, m.Flags, m.InterruptMessages, m.Queues)
	return le.AppendUint16(b, m.TableEntries)
}

// RSSHash is the hash information of RSSParameters: a function and the packets it is
// computed for.
type RSSHash uint32

// Bits of RSSHash. Of TCP and UDP packets addresses and ports are hashed, of others
// the addresses.
const (
	HashFunctionMask RSSHash = 0xFF
	HashToeplitz     RSSHash = 1

	HashIPv4    RSSHash = 1 << 8
	HashTCPv4   RSSHash = 1 << 9
	HashIPv6    RSSHash = 1 << 10
	HashIPv6Ex  RSSHash = 1 << 11
	HashTCPv6   RSSHash = 1 << 12
	HashTCPv6Ex RSSHash = 1 << 13
	HashUDPv4   RSSHash = 1 << 14
	HashUDPv6   RSSHash = 1 << 15
	HashUDPv6Ex RSSHash = 1 << 16
)

// Bits of RSSParameters.Flags: what stays as it was, or that all is switched off.
const (
	RSSBaseCPUUnchanged = 1 << 0
	RSSHashUnchanged    = 1 << 1
	RSSTableUnchanged   = 1 << 2
	RSSKeyUnchanged     = 1 << 3
	RSSDisable          = 1 << 4
)

// RSSKeySize is the size of the key of the Toeplitz hash in bytes.
const RSSKeySize = 40

// RSSParameters are how received frames are spread: the low bits of a frame's hash
// choose an entry of Table, which is the number of a channel.
// (NDIS_RECEIVE_SCALE_PARAMETERS, revision 2; entries of 32 bits as NetVSP has them.)
type RSSParameters struct {
	Flags uint16
	Hash  RSSHash
	Table []uint32
	Key   []byte
}

// rssParametersSize is that of the object without table and key, revision 2.
const rssParametersSize = 40

// DecodeRSSParameters reads an RSSParameters. Hosts do not look at the object's header,
// and guests fill it in differently: here it is skipped. Table and key are read
// unless the flags say that there are none.
func DecodeRSSParameters(b []byte) (m RSSParameters, err error) {
	const least = 28 // revision 1
	if len(b) < least {
		return m, fmt.Errorf("NDIS RSS parameters: %w: %d bytes", ErrShort, len(b))
	}
	m.Flags, m.Hash = le.Uint16(b[4:]), RSSHash(le.Uint32(b[8:]))
	if m.Flags&RSSDisable != 0 {
		return m, nil
	}
	if m.Flags&RSSTableUnchanged == 0 {
		table, err := within(b, le.Uint32(b[16:]), le.Uint16(b[12:]), "table")
		if err != nil {
			return m, err
		}
		for ; len(table) >= 4; table = table[4:] {
			m.Table = append(m.Table, le.Uint32(table))
		}
	}
	if m.Flags&RSSKeyUnchanged == 0 {
		m.Key, err = within(b, le.Uint32(b[24:]), le.Uint16(b[20:]), "key")
	}
	return m, err
}

// within returns length bytes at offset of an object.
func within(b []byte, offset uint32, length uint16, name string) ([]byte, error) {
	end := uint64(offset) + uint64(length)
	if end > uint64(len(b)) {
		return nil, fmt.Errorf("NDIS RSS parameters: %w: %s of %d bytes at %d of %d", ErrLength, name, length, offset, len(b))
	}
	return b[offset:end:end], nil
}

// AppendTo appends the encoded object to b, the table before the key.
func (m RSSParameters) AppendTo(b []byte) []byte {
	table := 4 * len(m.Table)
	b = ObjectHeader{ObjectRSSParameters, 2, rssParametersSize}.AppendTo(b)
	b = le.AppendUint16(le.AppendUint16(b, m.Flags), 0)
	b = append32(b, uint32(m.Hash), uint32(table), rssParametersSize, uint32(len(m.Key)), uint32(rssParametersSize+table), 0, 0, 0)
	b = append32(b, m.Table...)
	return append(b, m.Key...)
}
