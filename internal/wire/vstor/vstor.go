// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vstor

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/guid"
)

// Operation is the first word of a packet.
type Operation uint32

// All operations. Client means guest, server means host.
const (
	OpCompleteIO        Operation = 1  // server: answer to any request
	OpRemoveDevice      Operation = 2  // server: a device went away
	OpExecuteSRB        Operation = 3  // client: SCSI command
	OpResetLUN          Operation = 4  // client
	OpResetAdapter      Operation = 5  // client
	OpResetBus          Operation = 6  // client
	OpBeginInit         Operation = 7  // client: negotiation, first step
	OpEndInit           Operation = 8  // client: negotiation, last step
	OpQueryVersion      Operation = 9  // client: negotiation, second step
	OpQueryProperties   Operation = 10 // client: negotiation, third step
	OpEnumerateBus      Operation = 11 // server: rescan the LUNs (4.2 and later)
	OpFCHBAData         Operation = 12 // client: Fibre Channel only
	OpCreateSubChannels Operation = 13 // client: 5.1 and later
	OpEventNotification Operation = 14 // server
)

var operationNames = [...]string{
	OpCompleteIO: "COMPLETE_IO", OpRemoveDevice: "REMOVE_DEVICE", OpExecuteSRB: "EXECUTE_SRB",
	OpResetLUN: "RESET_LUN", OpResetAdapter: "RESET_ADAPTER", OpResetBus: "RESET_BUS",
	OpBeginInit: "BEGIN_INITIALIZATION", OpEndInit: "END_INITIALIZATION",
	OpQueryVersion: "QUERY_PROTOCOL_VERSION", OpQueryProperties: "QUERY_PROPERTIES",
	OpEnumerateBus: "ENUMERATE_BUS", OpFCHBAData: "FC_HBA_DATA",
	OpCreateSubChannels: "CREATE_SUB_CHANNELS", OpEventNotification: "EVENT_NOTIFICATION",
}

// String returns the name in the Microsoft documents.
func (o Operation) String() string {
	if int64(o) < int64(len(operationNames)) && operationNames[o] != "" {
		return operationNames[o]
	}
	return fmt.Sprintf("operation %d", uint32(o))
}

// FlagRequestCompletion in Header.Flags asks for a completion. Linux sets it on
// every request; StorVSP answers every request in any case.
const FlagRequestCompletion uint32 = 0x1

// Status is the NTSTATUS of a packet.
type Status uint32

// NTSTATUS values that StorVSP uses.
const (
	StatusSuccess              Status = 0x00000000
	StatusBufferOverflow       Status = 0x80000005
	StatusDeviceBusy           Status = 0x80000011
	StatusUnsuccessful         Status = 0xC0000001
	StatusInvalidParameter     Status = 0xC000000D
	StatusInvalidDeviceRequest Status = 0xC0000010
	StatusRevisionMismatch     Status = 0xC0000059
	StatusDeviceNotConnected   Status = 0xC000009D
	StatusIOTimeout            Status = 0xC00000B5
	StatusDeviceDoesNotExist   Status = 0xC00000C0
	StatusCancelled            Status = 0xC0000120
	StatusInvalidDeviceState   Status = 0xC0000184
	StatusIODeviceError        Status = 0xC0000185
)

var statusNames = map[Status]string{
	StatusSuccess: "SUCCESS", StatusBufferOverflow: "BUFFER_OVERFLOW", StatusDeviceBusy: "DEVICE_BUSY",
	StatusUnsuccessful: "UNSUCCESSFUL", StatusInvalidParameter: "INVALID_PARAMETER",
	StatusInvalidDeviceRequest: "INVALID_DEVICE_REQUEST", StatusRevisionMismatch: "REVISION_MISMATCH",
	StatusDeviceNotConnected: "DEVICE_NOT_CONNECTED", StatusIOTimeout: "IO_TIMEOUT",
	StatusDeviceDoesNotExist: "DEVICE_DOES_NOT_EXIST", StatusCancelled: "CANCELLED",
	StatusInvalidDeviceState: "INVALID_DEVICE_STATE", StatusIODeviceError: "IO_DEVICE_ERROR",
}

// String returns the name, or the number if there is none.
func (s Status) String() string {
	if n := statusNames[s]; n != "" {
		return n
	}
	return fmt.Sprintf("status 0x%08X", uint32(s))
}

// Version is a protocol version: major number in the high byte, minor in the low.
type Version uint16

// The versions, oldest first, with the Windows that brought them.
const (
	Version2_0 Version = 0x0200 // Windows Server 2008
	Version4_2 Version = 0x0402 // Windows 7
	Version5_1 Version = 0x0501 // Windows 8: longer SRB, sub-channels
	Version6_0 Version = 0x0600 // Windows 8.1
	Version6_2 Version = 0x0602 // Windows 10
)

// Versions lists all versions, newest first: the order a guest tries them in.
var Versions = [...]Version{Version6_2, Version6_0, Version5_1, Version4_2, Version2_0}

// String returns "major.minor".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v>>8, v&0xFF) }

// PacketSize returns the size in bytes of packets of this version: 48 below 5.1, else 64.
func (v Version) PacketSize() int {
	if v < Version5_1 {
		return PacketSizeV1
	}
	return PacketSize
}

// RequestSize returns the size in bytes of an SCSI request of this version: 36 below 5.1, else 52.
func (v Version) RequestSize() int { return v.PacketSize() - HeaderSize }

// SenseSize returns how many bytes of sense data a request of this version carries:
// 18 before Windows 8, else 20.
func (v Version) SenseSize() int {
	if v < Version5_1 {
		return 18
	}
	return SenseSize
}

// Sizes in bytes. Two sources each: OpenVMM storvsp_protocol; BTF of hv_storvsc.ko.
const (
	HeaderSize     = 12
	PacketSize     = 64 // struct vstor_packet
	PacketSizeV1   = 48 // the same before version 5.1
	PayloadSize    = PacketSize - HeaderSize
	RequestSize    = 52 // struct vmscsi_request
	RequestSizeV1  = 36 // the same before version 5.1
	PropertiesSize = 24 // struct vmstorage_channel_properties
	VersionSize    = 4
	CDBSize        = 16 // the longest CDB
	SenseSize      = 20 // the longest sense data
)

// SCSIInterface is the interface type of a synthetic SCSI controller's channel.
var SCSIInterface = guid.MustParse("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f")

// ErrShort is returned when bytes end before the structure does.
var ErrShort = errors.New("vstor: short packet")

// Packet is one message: its header and its payload, not yet read.
type Packet struct {
	Operation Operation
	Flags     uint32
	Status    Status
	Payload   [PayloadSize]byte // zero after what the peer sent
}

// DecodePacket reads a packet, which may be a short one of an old version. Bytes
// after the 64th are ignored (VMBus pads packets to 8 bytes).
//
// Hyper-V and OpenVMM accept any length from the header up: a peer's
// initialisation packets may be shorter or longer than its version says.
func DecodePacket(b []byte) (p Packet, err error) {
	if len(b) < HeaderSize {
		return p, ErrShort
	}
	p.Operation = Operation(binary.LittleEndian.Uint32(b))
	p.Flags = binary.LittleEndian.Uint32(b[4:])
	p.Status = Status(binary.LittleEndian.Uint32(b[8:]))
	copy(p.Payload[:], b[HeaderSize:])
	return p, nil
}

// AppendTo appends the packet in its full size, 64 bytes. For versions below 5.1
// cut the result to Version.PacketSize.
func (p Packet) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Operation))
	b = binary.LittleEndian.AppendUint32(b, p.Flags)
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Status))
	return append(b, p.Payload[:]...)
}

// SetPayload copies an encoded payload into p and zeroes the rest; more than
// PayloadSize bytes are cut.
func (p *Packet) SetPayload(b []byte) {
	p.Payload = [PayloadSize]byte{}
	copy(p.Payload[:], b)
}

// ProtocolVersion is the payload of OpQueryVersion.
//
//	 0      2          4
//	+------+----------+
//	| ver. | reserved |
//	+------+----------+
type ProtocolVersion struct {
	Version Version
}

// DecodeProtocolVersion reads the payload of OpQueryVersion.
func DecodeProtocolVersion(b []byte) (v ProtocolVersion, err error) {
	if len(b) < VersionSize {
		return v, ErrShort
	}
	return ProtocolVersion{Version(binary.LittleEndian.Uint16(b))}, nil
}

// AppendTo appends the encoded payload to b.
func (v ProtocolVersion) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(v.Version))
	return append(b, 0, 0)
}

// PropertyMultiChannel in Properties.Flags says that OpCreateSubChannels is served.
const PropertyMultiChannel uint32 = 0x1

// Properties is the payload of the answer to OpQueryProperties.
//
//	 0          4          6          8       12                   16        24
//	+----------+----------+----------+-------+--------------------+---------+
//	| reserved | max sub- | reserved | flags | max transfer bytes | reserved|
//	|          | channels |          |       |                    |         |
//	+----------+----------+----------+-------+--------------------+---------+
type Properties struct {
	MaxSubChannels   uint16
	Flags            uint32
	MaxTransferBytes uint32 // largest data buffer of one request
}

// DecodeProperties reads the channel properties.
func DecodeProperties(b []byte) (p Properties, err error) {
	if len(b) < PropertiesSize {
		return p, ErrShort
	}
	p.MaxSubChannels = binary.LittleEndian.Uint16(b[4:])
	p.Flags = binary.LittleEndian.Uint32(b[8:])
	p.MaxTransferBytes = binary.LittleEndian.Uint32(b[12:])
	return p, nil
}

// AppendTo appends the encoded properties to b.
func (p Properties) AppendTo(b []byte) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, p.MaxSubChannels)
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, p.Flags)
	b = binary.LittleEndian.AppendUint32(b, p.MaxTransferBytes)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
}

// SubChannels is the payload of OpCreateSubChannels: how many to offer.
type SubChannels struct {
	Count uint16
}

// DecodeSubChannels reads the payload of OpCreateSubChannels.
func DecodeSubChannels(b []byte) (s SubChannels, err error) {
	if len(b) < 2 {
		return s, ErrShort
	}
	return SubChannels{binary.LittleEndian.Uint16(b)}, nil
}

// AppendTo appends the encoded payload to b.
func (s SubChannels) AppendTo(b []byte) []byte {
	return binary.LittleEndian.AppendUint16(b, s.Count)
}
