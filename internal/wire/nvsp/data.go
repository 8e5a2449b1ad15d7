// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package nvsp

import "fmt"

// Channel types of SendRNDISPacket.
const (
	ChannelData    = 0 // RNDIS packet messages
	ChannelControl = 1 // all other RNDIS messages
)

// NoSection as SendRNDISPacket.SectionIndex: the send buffer is not used.
const NoSection = 0xFFFFFFFF

// SendRNDISPacket announces one or more RNDIS messages. They lie in the send
// buffer (guest to host, SectionIndex), in the pages of the GPA-direct packet
// that carries this message, or in the receive buffer (host to guest, ranges of
// the transfer-page packet).
type SendRNDISPacket struct {
	ChannelType  uint32
	SectionIndex uint32
	SectionSize  uint32 // bytes used in the section
}

// SendRNDISPacketSize is the encoded size of a SendRNDISPacket: 12 bytes of
// body (nvsp_1_message_send_rndis_packet in BTF) after the type.
const SendRNDISPacketSize = HeaderSize + 12

// DecodeSendRNDISPacket reads a SendRNDISPacket.
func DecodeSendRNDISPacket(b []byte) (SendRNDISPacket, error) {
	p, err := body(b, SendRNDISPacketSize, TypeSendRNDISPacket, "SendRNDISPacket")
	if err != nil {
		return SendRNDISPacket{}, err
	}
	return SendRNDISPacket{le.Uint32(p), le.Uint32(p[4:]), le.Uint32(p[8:])}, nil
}

// AppendTo appends the encoded message to b.
func (m SendRNDISPacket) AppendTo(b []byte) []byte {
	b = le.AppendUint32(appendType(b, TypeSendRNDISPacket), m.ChannelType)
	return le.AppendUint32(le.AppendUint32(b, m.SectionIndex), m.SectionSize)
}

// SendRNDISPacketComplete gives the memory of a SendRNDISPacket back to its
// sender.
type SendRNDISPacketComplete struct {
	Status Status
}

// SendRNDISPacketCompleteSize is the encoded size of a SendRNDISPacketComplete.
const SendRNDISPacketCompleteSize = 8

// DecodeSendRNDISPacketComplete reads a SendRNDISPacketComplete.
func DecodeSendRNDISPacketComplete(b []byte) (SendRNDISPacketComplete, error) {
	p, err := body(b, SendRNDISPacketCompleteSize, TypeSendRNDISPacketComplete, "SendRNDISPacketComplete")
	if err != nil {
		return SendRNDISPacketComplete{}, err
	}
	return SendRNDISPacketComplete{Status(le.Uint32(p))}, nil
}

// AppendTo appends the encoded message to b.
func (m SendRNDISPacketComplete) AppendTo(b []byte) []byte {
	return le.AppendUint32(appendType(b, TypeSendRNDISPacketComplete), uint32(m.Status))
}

// SendVFAssociation says that a virtual function of a physical card serves
// this network card too (version 4). Serial names the PCI device.
type SendVFAssociation struct {
	Allocated bool
	Serial    uint32
}

// SendVFAssociationSize is the encoded size of a SendVFAssociation.
const SendVFAssociationSize = 12

// DecodeSendVFAssociation reads a SendVFAssociation.
func DecodeSendVFAssociation(b []byte) (SendVFAssociation, error) {
	p, err := body(b, SendVFAssociationSize, TypeSendVFAssociation, "SendVFAssociation")
	if err != nil {
		return SendVFAssociation{}, err
	}
	return SendVFAssociation{le.Uint32(p) != 0, le.Uint32(p[4:])}, nil
}

// AppendTo appends the encoded message to b.
func (m SendVFAssociation) AppendTo(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(appendType(b, TypeSendVFAssociation), bool32(m.Allocated)), m.Serial)
}

// SwitchDataPath moves traffic to the synthetic card or to the virtual
// function (version 4).
type SwitchDataPath struct {
	VF bool
}

// SwitchDataPathSize is the encoded size of a SwitchDataPath.
const SwitchDataPathSize = 8

// DecodeSwitchDataPath reads a SwitchDataPath.
func DecodeSwitchDataPath(b []byte) (SwitchDataPath, error) {
	p, err := body(b, SwitchDataPathSize, TypeSwitchDataPath, "SwitchDataPath")
	if err != nil {
		return SwitchDataPath{}, err
	}
	return SwitchDataPath{le.Uint32(p) != 0}, nil
}

// AppendTo appends the encoded message to b.
func (m SwitchDataPath) AppendTo(b []byte) []byte {
	return le.AppendUint32(appendType(b, TypeSwitchDataPath), bool32(m.VF))
}

// OIDQueryExComplete answers the query of an OID outside RNDIS (version 5). The
// reply, Bytes long, follows the message.
type OIDQueryExComplete struct {
	Status uint32 // NDIS status
	Bytes  uint32
}

// OIDQueryExCompleteSize is the encoded size of an OIDQueryExComplete.
const OIDQueryExCompleteSize = 12

// DecodeOIDQueryExComplete reads an OIDQueryExComplete.
func DecodeOIDQueryExComplete(b []byte) (OIDQueryExComplete, error) {
	p, err := body(b, OIDQueryExCompleteSize, TypeOIDQueryExComplete, "OIDQueryExComplete")
	if err != nil {
		return OIDQueryExComplete{}, err
	}
	return OIDQueryExComplete{le.Uint32(p), le.Uint32(p[4:])}, nil
}

// AppendTo appends the encoded message to b.
func (m OIDQueryExComplete) AppendTo(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(appendType(b, TypeOIDQueryExComplete), m.Status), m.Bytes)
}

// SubChannel asks for sub-channels (First is an operation: 1 allocates) or
// answers (First is a Status); both forms share the type number (version 5).
type SubChannel struct {
	First uint32
	Count uint32
}

// SubChannelAllocate is the operation of a SubChannel request.
const SubChannelAllocate = 1

// SubChannelSize is the encoded size of a SubChannel.
const SubChannelSize = 12

// DecodeSubChannel reads a SubChannel.
func DecodeSubChannel(b []byte) (SubChannel, error) {
	p, err := body(b, SubChannelSize, TypeSubChannel, "SubChannel")
	if err != nil {
		return SubChannel{}, err
	}
	return SubChannel{le.Uint32(p), le.Uint32(p[4:])}, nil
}

// AppendTo appends the encoded message to b.
func (m SubChannel) AppendTo(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(appendType(b, TypeSubChannel), m.First), m.Count)
}

// IndirectionEntries is the number of entries of a send indirection table.
const IndirectionEntries = 16

// SendIndirectionTable spreads the guest's flows over its channels (version 5).
// The table of 32-bit channel numbers stands Offset bytes from the start of the
// message.
type SendIndirectionTable struct {
	Count, Offset uint32
}

// SendIndirectionTableSize is the encoded size of a SendIndirectionTable
// without its table.
const SendIndirectionTableSize = 12

// DecodeSendIndirectionTable reads a SendIndirectionTable.
func DecodeSendIndirectionTable(b []byte) (SendIndirectionTable, error) {
	p, err := body(b, SendIndirectionTableSize, TypeSendIndirectionTable, "SendIndirectionTable")
	if err != nil {
		return SendIndirectionTable{}, err
	}
	return SendIndirectionTable{le.Uint32(p), le.Uint32(p[4:])}, nil
}

// AppendTo appends the encoded message to b.
func (m SendIndirectionTable) AppendTo(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(appendType(b, TypeSendIndirectionTable), m.Count), m.Offset)
}

// AppendSendIndirectionTable appends a SendIndirectionTable with its table right
// behind it.
func AppendSendIndirectionTable(b []byte, table []uint32) []byte {
	b = SendIndirectionTable{uint32(len(table)), SendIndirectionTableSize}.AppendTo(b)
	for _, v := range table {
		b = le.AppendUint32(b, v)
	}
	return b
}

// Entries reads the table out of msg, the message m was decoded from.
func (m SendIndirectionTable) Entries(msg []byte) ([]uint32, error) {
	end := uint64(m.Offset) + 4*uint64(m.Count)
	if m.Count > IndirectionEntries || m.Offset < SendIndirectionTableSize || end > uint64(len(msg)) {
		return nil, fmt.Errorf("NVSP SendIndirectionTable: %w: %d entries at %d of %d bytes", ErrShort, m.Count, m.Offset, len(msg))
	}
	t := make([]uint32, m.Count)
	for i := range t {
		t[i] = le.Uint32(msg[int(m.Offset)+4*i:])
	}
	return t, nil
}

func bool32(v bool) uint32 {
	if v {
		return 1
	}
	return 0
}
