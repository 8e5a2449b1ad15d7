// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"fmt"

	"github.com/hvgo/hvgo/internal/guid"
)

// Version is a VMBus protocol version: major in the high half, minor in the
// low half. Versions compare as numbers.
type Version uint32

// All versions that were ever released, and the first Windows that spoke them.
const (
	Version0_13 Version = 0x0000_000D // Server 2008
	Version1_1  Version = 0x0001_0001 // 7, Server 2008 R2
	Version2_4  Version = 0x0002_0004 // 8, Server 2012
	Version3_0  Version = 0x0003_0000 // 8.1, Server 2012 R2
	Version4_0  Version = 0x0004_0000 // 10
	Version4_1  Version = 0x0004_0001 // 10 1709
	Version5_0  Version = 0x0005_0000 // 10 1803
	Version5_1  Version = 0x0005_0001 // 10 1803
	Version5_2  Version = 0x0005_0002 // 10 1809, Server 2019
	Version5_3  Version = 0x0005_0003 // Server 2022
	Version6_0  Version = 0x0006_0000 // 11 22H2
)

// String gives "major.minor".
func (v Version) String() string { return fmt.Sprintf("%d.%d", uint32(v)>>16, uint32(v)&0xFFFF) }

// Features are the optional parts of version 6.0. The guest asks, the host's
// answer holds what both have.
type Features uint32

// Feature bits.
const (
	FeatureGuestSpecifiedSignal Features = 1 << 0
	FeatureInterruptRedirection Features = 1 << 1
	FeatureModifyConnection     Features = 1 << 2
	FeatureClientID             Features = 1 << 3 // INITIATE_CONTACT must be the long one
	FeatureConfidentialChannels Features = 1 << 4
	FeaturePauseResume          Features = 1 << 5
	FeatureServerMonitorPages   Features = 1 << 6
	FeatureGPAPinning           Features = 1 << 7
)

// Connection ids of the hypervisor by which a guest posts messages before the
// host has named one, and the event connection of versions before 2.4.
const (
	ConnectionMessages      = 1 // the only one that hosts older than 5.0 listen on
	ConnectionMessagesMulti = 4 // looks at SINT and VTL of the message; 5.0 and later
	ConnectionSharedEvent   = 2 // channels without a dedicated interrupt
)

// InitiateContact asks for a version (14).
//
//	0        8        12       16                24          32          40         56
//	+--------+--------+--------+-----------------+-----------+-----------+----------+
//	| header | version| VP     | int. page, or   | monitor   | monitor   | client id|
//	|        |        |        | SINT VTL feature| host->gst | gst->host | optional |
//	+--------+--------+--------+-----------------+-----------+-----------+----------+
//
// The word at 16 is an interrupt page's GPA before 5.0 and TargetInfo from
// then on. A zero monitor page GPA means that the guest has none.
type InitiateContact struct {
	Version          Version
	TargetVP         uint32
	InterruptPageGPA uint64 // from 5.0 on TargetInfo.Word
	MonitorHostGPA   uint64 // written by the host ("parent to child")
	MonitorGuestGPA  uint64 // written by the guest ("child to parent")
	ClientID         guid.GUID
	HasClientID      bool // long form; needed for FeatureClientID
}

// Sizes of an InitiateContact without and with client id.
const (
	InitiateContactSize     = 40
	InitiateContactLongSize = 56
)

// TargetInfo says, from 5.0 on, where the guest wants its messages. It is
// encoded in InitiateContact.InterruptPageGPA.
//
//	bits 0-7 SINT, 8-15 VTL, 32-63 features
type TargetInfo struct {
	SINT     uint8
	VTL      uint8
	Features Features // since 6.0
}

// Word encodes the target.
func (t TargetInfo) Word() uint64 {
	return uint64(t.SINT) | uint64(t.VTL)<<8 | uint64(t.Features)<<32
}

// TargetInfoFromWord decodes a target.
func TargetInfoFromWord(w uint64) TargetInfo {
	return TargetInfo{SINT: uint8(w), VTL: uint8(w >> 8), Features: Features(w >> 32)}
}

// DecodeInitiateContact reads a whole message of either length.
func DecodeInitiateContact(b []byte) (m InitiateContact, err error) {
	if err := open(b, MsgInitiateContact, InitiateContactSize); err != nil {
		return m, err
	}
	m.Version = Version(get32(b, 8))
	m.TargetVP = get32(b, 12)
	m.InterruptPageGPA = get64(b, 16)
	m.MonitorHostGPA = get64(b, 24)
	m.MonitorGuestGPA = get64(b, 32)
	if len(b) >= InitiateContactLongSize {
		m.ClientID = guid.GUID(b[40:56])
		m.HasClientID = true
	}
	return m, nil
}

// AppendTo appends the whole message to b.
func (m InitiateContact) AppendTo(b []byte) []byte {
	b = AppendHeader(b, MsgInitiateContact)
	b = u32(b, uint32(m.Version))
	b = u32(b, m.TargetVP)
	b = u64(b, m.InterruptPageGPA)
	b = u64(b, m.MonitorHostGPA)
	b = u64(b, m.MonitorGuestGPA)
	if m.HasClientID {
		b = m.ClientID.AppendTo(b)
	}
	return b
}

// ConnectionState says in a VersionResponse why a supported version could not
// be taken up.
type ConnectionState uint8

// Connection states.
const (
	ConnectionSuccessful         ConnectionState = 0
	ConnectionFailedLowResources ConnectionState = 1
	ConnectionFailedUnknown      ConnectionState = 2
)

// VersionResponse answers InitiateContact (15). Four lengths are in use: hosts
// up to 4.0 may send 10 bytes and padding, then 16, 20 from 6.0, and 40 with
// monitor pages. Missing fields decode as zero.
//
//	0        8           9       12                  16        24        32        40
//	+--------+-----------+-------+-------------------+---------+---------+---------+
//	| header | supported | state | version or        | features| monitor | monitor |
//	|        |           |       | connection id     | (20)    | pages   |         |
//	+--------+-----------+-------+-------------------+---------+---------+---------+
//
// The word at 12 is the connection id to post to from then on when the version
// is 5.0 or later, and the accepted version before.
type VersionResponse struct {
	Supported       bool
	State           ConnectionState
	VersionOrConnID uint32
	Features        Features // since 6.0
	MonitorHostGPA  uint64   // FeatureServerMonitorPages
	MonitorGuestGPA uint64   // likewise
}

// Sizes of a VersionResponse.
const (
	VersionResponseMinSize      = 10
	VersionResponseSize         = 16
	VersionResponseFeaturesSize = 20
	VersionResponseMonitorSize  = 40
)

// DecodeVersionResponse reads a whole message of any of the lengths.
func DecodeVersionResponse(b []byte) (m VersionResponse, err error) {
	if err := open(b, MsgVersionResponse, VersionResponseMinSize); err != nil {
		return m, err
	}
	m.Supported = b[8] != 0
	m.State = ConnectionState(b[9])
	if len(b) >= VersionResponseSize {
		m.VersionOrConnID = get32(b, 12)
	}
	if len(b) >= VersionResponseFeaturesSize {
		m.Features = Features(get32(b, 16))
	}
	if len(b) >= VersionResponseMonitorSize {
		m.MonitorHostGPA = get64(b, 24)
		m.MonitorGuestGPA = get64(b, 32)
	}
	return m, nil
}

// AppendTo appends the whole message to b, in one of the VersionResponse
// sizes; a size between two is cut down to the smaller.
func (m VersionResponse) AppendTo(b []byte, size int) []byte {
	b = AppendHeader(b, MsgVersionResponse)
	supported := byte(0)
	if m.Supported {
		supported = 1
	}
	b = append(b, supported, byte(m.State))
	if size < VersionResponseSize {
		return b
	}
	b = u32(append(b, 0, 0), m.VersionOrConnID)
	if size < VersionResponseFeaturesSize {
		return b
	}
	b = u32(b, uint32(m.Features))
	if size < VersionResponseMonitorSize {
		return b
	}
	return u64(u64(u32(b, 0), m.MonitorHostGPA), m.MonitorGuestGPA)
}

// ModifyConnection hands over or takes back monitor pages (25).
type ModifyConnection struct {
	MonitorHostGPA, MonitorGuestGPA uint64
}

// ModifyConnectionSize is the encoded size of a ModifyConnection.
const ModifyConnectionSize = 24

// DecodeModifyConnection reads a whole message.
func DecodeModifyConnection(b []byte) (m ModifyConnection, err error) {
	if err := open(b, MsgModifyConnection, ModifyConnectionSize); err != nil {
		return m, err
	}
	return ModifyConnection{get64(b, 8), get64(b, 16)}, nil
}

// AppendTo appends the whole message to b.
func (m ModifyConnection) AppendTo(b []byte) []byte {
	return u64(u64(AppendHeader(b, MsgModifyConnection), m.MonitorHostGPA), m.MonitorGuestGPA)
}

// ModifyConnectionResponse answers ModifyConnection (26).
type ModifyConnectionResponse struct{ State ConnectionState }

// ModifyConnectionResponseSize is the encoded size of a
// ModifyConnectionResponse.
const ModifyConnectionResponseSize = 9

// DecodeModifyConnectionResponse reads a whole message.
func DecodeModifyConnectionResponse(b []byte) (m ModifyConnectionResponse, err error) {
	if err := open(b, MsgModifyConnectionResponse, ModifyConnectionResponseSize); err != nil {
		return m, err
	}
	return ModifyConnectionResponse{ConnectionState(b[8])}, nil
}

// AppendTo appends the whole message to b.
func (m ModifyConnectionResponse) AppendTo(b []byte) []byte {
	return append(AppendHeader(b, MsgModifyConnectionResponse), byte(m.State))
}
