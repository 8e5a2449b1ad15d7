// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package tlfs

import "encoding/binary"

// Input of HvCallStartVirtualProcessor and HvCallGetVpIndexFromApicId (TLFS, appendix A
// and the pages of these calls). The structs have the layout of memory, so that a guest
// may also write them in place.

// PartitionSelf is the partition id of the caller's own partition.
const PartitionSelf = 0xFFFFFFFFFFFFFFFF

// Segment is a segment register. Attributes are bits 40 to 55 of a descriptor: type, S,
// DPL, P, four reserved, AVL, L, D/B, G.
//
//	0      8       12         14           16
//	+------+-------+----------+------------+
//	| base | limit | selector | attributes |
//	+------+-------+----------+------------+
type Segment struct {
	Base       uint64
	Limit      uint32 // in bytes, less one
	Selector   uint16
	Attributes uint16
}

// Table is GDTR or IDTR.
//
//	0      6       8      16
//	+------+-------+------+
//	|  0   | limit | base |
//	+------+-------+------+
type Table struct {
	_     [3]uint16
	Limit uint16 // in bytes, less one
	Base  uint64
}

// InitialVPContext is what a virtual processor starts with (HV_INITIAL_VP_CONTEXT).
//
//	0    8    16      24                                  152    168    184   192  200  208  216  224
//	+----+----+-------+-----------------------------------+------+------+-----+----+----+----+-----+
//	| IP | SP | flags | CS DS ES FS GS SS TR LDTR (8x16)  | IDTR | GDTR | EFER| CR0| CR3| CR4| PAT |
//	+----+----+-------+-----------------------------------+------+------+-----+----+----+----+-----+
type InitialVPContext struct {
	RIP, RSP, RFlags       uint64
	CS, DS, ES, FS, GS, SS Segment
	TR, LDTR               Segment
	IDTR, GDTR             Table
	EFER                   uint64
	CR0, CR3, CR4          uint64
	PAT                    uint64 // MSR_CR_PAT
}

// StartVPInput is the input of HvCallStartVirtualProcessor.
//
//	0           8          12           13       16        240
//	+-----------+----------+------------+--------+---------+
//	| partition | VP index | target VTL |   0    | context |
//	+-----------+----------+------------+--------+---------+
type StartVPInput struct {
	Partition uint64 // PartitionSelf
	VPIndex   uint32
	TargetVTL uint8
	Reserved  [3]uint8 // zero
	Context   InitialVPContext
}

// Sizes of the encoded structs.
const (
	SegmentSize          = 16
	TableSize            = 16
	InitialVPContextSize = 224
	StartVPInputSize     = 240
)

// DecodeStartVPInput reads the input block from b.
func DecodeStartVPInput(b []byte) (s StartVPInput, err error) {
	if len(b) < StartVPInputSize {
		return s, short("StartVirtualProcessor input", b, StartVPInputSize)
	}
	s.Partition = binary.LittleEndian.Uint64(b)
	s.VPIndex = binary.LittleEndian.Uint32(b[8:])
	s.TargetVTL = b[12]
	copy(s.Reserved[:], b[13:])
	c := &s.Context
	b = b[16:]
	for i, w := range [...]*uint64{&c.RIP, &c.RSP, &c.RFlags} {
		*w = binary.LittleEndian.Uint64(b[8*i:])
	}
	for i, seg := range c.segments() {
		at := b[24+SegmentSize*i:]
		seg.Base = binary.LittleEndian.Uint64(at)
		seg.Limit = binary.LittleEndian.Uint32(at[8:])
		seg.Selector = binary.LittleEndian.Uint16(at[12:])
		seg.Attributes = binary.LittleEndian.Uint16(at[14:])
	}
	for i, t := range [...]*Table{&c.IDTR, &c.GDTR} {
		at := b[152+TableSize*i:]
		t.Limit = binary.LittleEndian.Uint16(at[6:])
		t.Base = binary.LittleEndian.Uint64(at[8:])
	}
	for i, w := range [...]*uint64{&c.EFER, &c.CR0, &c.CR3, &c.CR4, &c.PAT} {
		*w = binary.LittleEndian.Uint64(b[184+8*i:])
	}
	return s, nil
}

// segments are the eight segment registers in their order.
func (c *InitialVPContext) segments() [8]*Segment {
	return [...]*Segment{&c.CS, &c.DS, &c.ES, &c.FS, &c.GS, &c.SS, &c.TR, &c.LDTR}
}

// AppendTo appends the encoded input block to b.
func (s *StartVPInput) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, s.Partition)
	b = binary.LittleEndian.AppendUint32(b, s.VPIndex)
	b = append(append(b, s.TargetVTL), s.Reserved[:]...)
	c := &s.Context
	for _, w := range [...]uint64{c.RIP, c.RSP, c.RFlags} {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	for _, seg := range c.segments() {
		b = binary.LittleEndian.AppendUint64(b, seg.Base)
		b = binary.LittleEndian.AppendUint32(b, seg.Limit)
		b = binary.LittleEndian.AppendUint16(b, seg.Selector)
		b = binary.LittleEndian.AppendUint16(b, seg.Attributes)
	}
	for _, t := range [...]*Table{&c.IDTR, &c.GDTR} {
		b = append(b, 0, 0, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint16(b, t.Limit)
		b = binary.LittleEndian.AppendUint64(b, t.Base)
	}
	for _, w := range [...]uint64{c.EFER, c.CR0, c.CR3, c.CR4, c.PAT} {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// VPIndexInput is the head of the input of HvCallGetVpIndexFromApicId, a repeated call:
// APIC ids of 4 bytes each follow, and the output is as many VP indices of 4 bytes.
//
//	0           8            9        16
//	+-----------+------------+--------+
//	| partition | target VTL |   0    |
//	+-----------+------------+--------+
type VPIndexInput struct {
	Partition uint64 // PartitionSelf
	TargetVTL uint8
	Reserved  [7]uint8 // zero
}

// VPIndexInputSize is the encoded size of a VPIndexInput.
const VPIndexInputSize = 16

// DecodeVPIndexInput reads the head of the input block from b.
func DecodeVPIndexInput(b []byte) (v VPIndexInput, err error) {
	if len(b) < VPIndexInputSize {
		return v, short("GetVpIndexFromApicId input", b, VPIndexInputSize)
	}
	v.Partition = binary.LittleEndian.Uint64(b)
	v.TargetVTL = b[8]
	copy(v.Reserved[:], b[9:])
	return v, nil
}

// AppendTo appends the encoded head to b.
func (v *VPIndexInput) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, v.Partition)
	return append(append(b, v.TargetVTL), v.Reserved[:]...)
}
