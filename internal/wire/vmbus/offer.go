// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import "github.com/hvgo/hvgo/internal/guid"

// ChannelID names a channel between offer and release ("relid" in other
// implementations). The host chooses it; zero is not used.
type ChannelID uint32

// Interface ids of the devices that this project speaks to or names in its
// logs.
var (
	InterfaceNetwork       = guid.MustParse("f8615163-df3e-46c5-913f-f2d2f965ed0e")
	InterfaceSCSI          = guid.MustParse("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f")
	InterfaceIDE           = guid.MustParse("32412632-86cb-44a2-9b5c-50d1417354f5")
	InterfaceShutdown      = guid.MustParse("0e0b6031-5213-4934-818b-38d90ced39db")
	InterfaceHeartbeat     = guid.MustParse("57164f39-9115-4e78-ab55-382f3bd5422d")
	InterfaceTimeSync      = guid.MustParse("9527e630-d0ae-497b-adce-e80ab0175caf")
	InterfaceKVP           = guid.MustParse("a9a0f4e7-5a45-4d96-b827-8a841e8c03e6")
	InterfaceVSS           = guid.MustParse("35fa2e29-ea23-4236-96ae-3a6ebacba440")
	InterfaceKeyboard      = guid.MustParse("f912ad6d-2b17-48ea-bd65-f927a61c7684")
	InterfaceMouse         = guid.MustParse("cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a")
	InterfaceVideo         = guid.MustParse("da0a7802-e377-4aac-8e77-0558eb1073f8")
	InterfaceDynamicMemory = guid.MustParse("525074dc-8985-46e2-8057-a307dc18a502")
	InterfacePCI           = guid.MustParse("44c4f61d-4444-4400-9d52-802e27ede19f")
)

var interfaceNames = map[guid.GUID]string{
	InterfaceNetwork:       "network",
	InterfaceSCSI:          "SCSI",
	InterfaceIDE:           "IDE",
	InterfaceShutdown:      "shutdown",
	InterfaceHeartbeat:     "heartbeat",
	InterfaceTimeSync:      "time synchronisation",
	InterfaceKVP:           "KVP",
	InterfaceVSS:           "VSS",
	InterfaceKeyboard:      "keyboard",
	InterfaceMouse:         "mouse",
	InterfaceVideo:         "video",
	InterfaceDynamicMemory: "dynamic memory",
	InterfacePCI:           "PCI",
}

// InterfaceName gives the device kind of an interface id for logs, or the id
// itself.
func InterfaceName(id guid.GUID) string {
	if name, ok := interfaceNames[id]; ok {
		return name
	}
	return id.String()
}

// Offer flags.
const (
	OfferEnumerateInterface   = 1 << 0
	OfferConfidentialRing     = 1 << 1
	OfferConfidentialExternal = 1 << 2
	OfferNamedPipe            = 1 << 4 // packets carry a PipeHeader
	OfferTLNPIProvider        = 1 << 13
)

// Pipe types: the first word of an offer's UserDefined when OfferNamedPipe is
// set.
const (
	PipeByte    = 0
	PipeMessage = 4
)

// UserDataSize is the number of bytes that offer and open carry for the
// device's own use.
const UserDataSize = 120

// OfferChannel announces a channel (1).
//
//	0        8           24          40   56      58     60            180
//	+--------+-----------+-----------+----+-------+------+-------------+
//	| header | interface | instance  | 0  | flags | MMIO | user defined|
//	+--------+-----------+-----------+----+-------+------+-------------+
//	180         182    184     188       189     190         192      196
//	+-----------+------+-------+---------+-------+-----------+--------+
//	| subchannel| MMIO | id    | monitor | alloc | dedicated | conn.  |
//	+-----------+------+-------+---------+-------+-----------+--------+
type OfferChannel struct {
	InterfaceID           guid.GUID
	InstanceID            guid.GUID
	Flags                 uint16
	MMIOMegabytes         uint16
	UserDefined           [UserDataSize]byte
	SubchannelIndex       uint16
	MMIOMegabytesOptional uint16
	ChannelID             ChannelID
	MonitorID             uint8
	MonitorAllocated      bool
	DedicatedInterrupt    bool   // since 1.1; otherwise ConnectionID is not used
	ConnectionID          uint32 // for HvCallSignalEvent; taken as it is, never computed
}

// OfferChannelSize is the encoded size of an OfferChannel.
const OfferChannelSize = 196

// DecodeOfferChannel reads a whole message.
func DecodeOfferChannel(b []byte) (m OfferChannel, err error) {
	if err := open(b, MsgOfferChannel, OfferChannelSize); err != nil {
		return m, err
	}
	m.InterfaceID = guid.GUID(b[8:24])
	m.InstanceID = guid.GUID(b[24:40])
	m.Flags = get16(b, 56)
	m.MMIOMegabytes = get16(b, 58)
	m.UserDefined = [UserDataSize]byte(b[60:180])
	m.SubchannelIndex = get16(b, 180)
	m.MMIOMegabytesOptional = get16(b, 182)
	m.ChannelID = ChannelID(get32(b, 184))
	m.MonitorID = b[188]
	m.MonitorAllocated = b[189]&1 != 0
	m.DedicatedInterrupt = get16(b, 190)&1 != 0
	m.ConnectionID = get32(b, 192)
	return m, nil
}

// AppendTo appends the whole message to b.
func (m *OfferChannel) AppendTo(b []byte) []byte {
	b = AppendHeader(b, MsgOfferChannel)
	b = m.InterfaceID.AppendTo(b)
	b = m.InstanceID.AppendTo(b)
	b = append(b, make([]byte, 16)...)
	b = u16(b, m.Flags)
	b = u16(b, m.MMIOMegabytes)
	b = append(b, m.UserDefined[:]...)
	b = u16(b, m.SubchannelIndex)
	b = u16(b, m.MMIOMegabytesOptional)
	b = u32(b, uint32(m.ChannelID))
	b = append(b, m.MonitorID, bit(m.MonitorAllocated))
	b = u16(b, uint16(bit(m.DedicatedInterrupt)))
	return u32(b, m.ConnectionID)
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// ChannelMessage is any message whose only field is a channel id:
// RESCIND_CHANNEL_OFFER (2), CLOSE_CHANNEL (7) and REL_ID_RELEASED (13).
type ChannelMessage struct {
	Type      MessageType
	ChannelID ChannelID
}

// ChannelMessageSize is the encoded size of a ChannelMessage.
const ChannelMessageSize = 12

// DecodeChannelMessage reads a whole message of type t.
func DecodeChannelMessage(b []byte, t MessageType) (m ChannelMessage, err error) {
	if err := open(b, t, ChannelMessageSize); err != nil {
		return m, err
	}
	return ChannelMessage{t, ChannelID(get32(b, 8))}, nil
}

// AppendTo appends the whole message to b.
func (m ChannelMessage) AppendTo(b []byte) []byte {
	return u32(AppendHeader(b, m.Type), uint32(m.ChannelID))
}
