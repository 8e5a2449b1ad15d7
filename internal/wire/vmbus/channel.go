// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

// OpenChannel opens an offered channel over a ring GPADL (5).
//
//	0        8         12       16      20         24               28          148
//	+--------+---------+--------+-------+----------+----------------+-----------+
//	| header | channel | open id| GPADL | target VP| second ring at | user data |
//	|        |         |        |       |          | page           |           |
//	+--------+---------+--------+-------+----------+----------------+-----------+
//
// With FeatureGuestSpecifiedSignal or FeatureInterruptRedirection it is
// longer: connection id (148), event flag (152) and flags (154) follow.
type OpenChannel struct {
	ChannelID            ChannelID
	OpenID               uint32 // comes back in the result
	RingGPADL            GPADLID
	TargetVP             uint32 // VPDisableInterrupt: none
	DownstreamPageOffset uint32 // pages from the GPADL's start to the host-to-guest ring
	UserData             [UserDataSize]byte
}

// OpenChannelSize is the encoded size of an OpenChannel, OpenChannelLongSize
// that of one with signal parameters.
const (
	OpenChannelSize     = 148
	OpenChannelLongSize = 156
)

// VPDisableInterrupt as a target VP asks the host for no interrupts at all.
const VPDisableInterrupt = 0xFFFFFFFF

// DecodeOpenChannel reads a whole message; signal parameters are left alone.
func DecodeOpenChannel(b []byte) (m OpenChannel, err error) {
	if err := open(b, MsgOpenChannel, OpenChannelSize); err != nil {
		return m, err
	}
	m.ChannelID = ChannelID(get32(b, 8))
	m.OpenID = get32(b, 12)
	m.RingGPADL = GPADLID(get32(b, 16))
	m.TargetVP = get32(b, 20)
	m.DownstreamPageOffset = get32(b, 24)
	m.UserData = [UserDataSize]byte(b[28:148])
	return m, nil
}

// AppendTo appends the whole message to b, without signal parameters.
func (m *OpenChannel) AppendTo(b []byte) []byte {
	b = AppendHeader(b, MsgOpenChannel)
	b = u32(b, uint32(m.ChannelID))
	b = u32(b, m.OpenID)
	b = u32(b, uint32(m.RingGPADL))
	b = u32(b, m.TargetVP)
	b = u32(b, m.DownstreamPageOffset)
	return append(b, m.UserData[:]...)
}

// OpenResult answers OpenChannel (6).
type OpenResult struct {
	ChannelID ChannelID
	OpenID    uint32
	Status    uint32 // zero: open
}

// OpenResultSize is the encoded size of an OpenResult.
const OpenResultSize = 20

// DecodeOpenResult reads a whole message.
func DecodeOpenResult(b []byte) (m OpenResult, err error) {
	if err := open(b, MsgOpenChannelResult, OpenResultSize); err != nil {
		return m, err
	}
	return OpenResult{ChannelID(get32(b, 8)), get32(b, 12), get32(b, 16)}, nil
}

// AppendTo appends the whole message to b.
func (m OpenResult) AppendTo(b []byte) []byte {
	return u32(u32(u32(AppendHeader(b, MsgOpenChannelResult), uint32(m.ChannelID)), m.OpenID), m.Status)
}

// Statuses in results, NT status codes.
const (
	StatusSuccess           = 0
	StatusUnsuccessful      = 0x8000FFFF
	StatusConnectionRefused = 0xC0000236
)

// ModifyChannel moves a channel's interrupt to another VP (22). The host
// answers from 5.3 on.
type ModifyChannel struct {
	ChannelID ChannelID
	TargetVP  uint32
}

// ModifyChannelSize is the encoded size of a ModifyChannel.
const ModifyChannelSize = 16

// DecodeModifyChannel reads a whole message.
func DecodeModifyChannel(b []byte) (m ModifyChannel, err error) {
	if err := open(b, MsgModifyChannel, ModifyChannelSize); err != nil {
		return m, err
	}
	return ModifyChannel{ChannelID(get32(b, 8)), get32(b, 12)}, nil
}

// AppendTo appends the whole message to b.
func (m ModifyChannel) AppendTo(b []byte) []byte {
	return u32(u32(AppendHeader(b, MsgModifyChannel), uint32(m.ChannelID)), m.TargetVP)
}

// ModifyChannelResponse answers ModifyChannel (24).
type ModifyChannelResponse struct {
	ChannelID ChannelID
	Status    uint32
}

// ModifyChannelResponseSize is the encoded size of a ModifyChannelResponse.
const ModifyChannelResponseSize = 16

// DecodeModifyChannelResponse reads a whole message.
func DecodeModifyChannelResponse(b []byte) (m ModifyChannelResponse, err error) {
	if err := open(b, MsgModifyChannelResponse, ModifyChannelResponseSize); err != nil {
		return m, err
	}
	return ModifyChannelResponse{ChannelID(get32(b, 8)), get32(b, 12)}, nil
}

// AppendTo appends the whole message to b.
func (m ModifyChannelResponse) AppendTo(b []byte) []byte {
	return u32(u32(AppendHeader(b, MsgModifyChannelResponse), uint32(m.ChannelID)), m.Status)
}
