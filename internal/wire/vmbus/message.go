// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MessageType numbers a channel message.
type MessageType uint32

// All messages, with the version that brought them and who sends them.
const (
	MsgOfferChannel             MessageType = 1  // 0.13 host
	MsgRescindChannelOffer      MessageType = 2  // 0.13 host
	MsgRequestOffers            MessageType = 3  // 0.13 guest
	MsgAllOffersDelivered       MessageType = 4  // 0.13 host
	MsgOpenChannel              MessageType = 5  // 0.13 guest; longer from 6.0 with its features
	MsgOpenChannelResult        MessageType = 6  // 0.13 host
	MsgCloseChannel             MessageType = 7  // 0.13 guest, no answer
	MsgGPADLHeader              MessageType = 8  // 0.13 guest
	MsgGPADLBody                MessageType = 9  // 0.13 guest
	MsgGPADLCreated             MessageType = 10 // 0.13 host
	MsgGPADLTeardown            MessageType = 11 // 0.13 guest
	MsgGPADLTorndown            MessageType = 12 // 0.13 host
	MsgRelIDReleased            MessageType = 13 // 0.13 guest, after a rescind
	MsgInitiateContact          MessageType = 14 // 0.13 guest
	MsgVersionResponse          MessageType = 15 // 0.13 host
	MsgUnload                   MessageType = 16 // 0.13 guest
	MsgUnloadComplete           MessageType = 17 // 1.1  host
	MsgOpenReservedChannel      MessageType = 18 // 4.0  guest
	MsgCloseReservedChannel     MessageType = 19 // 4.0  guest
	MsgCloseReservedResponse    MessageType = 20 // 4.0  host
	MsgTLConnectRequest         MessageType = 21 // 4.0  guest; longer from 5.2
	MsgModifyChannel            MessageType = 22 // 4.1  guest
	MsgTLConnectResult          MessageType = 23 // 4.1  host
	MsgModifyChannelResponse    MessageType = 24 // 5.3  host
	MsgModifyConnection         MessageType = 25 // 6.0  guest, FeatureModifyConnection
	MsgModifyConnectionResponse MessageType = 26 // 6.0  host, FeatureModifyConnection
	MsgPause                    MessageType = 27 // 6.0  guest, FeaturePauseResume
	MsgPauseResponse            MessageType = 28 // 6.0  host, FeaturePauseResume
	MsgResume                   MessageType = 29 // 6.0  guest, FeaturePauseResume
)

var messageNames = [...]string{
	MsgOfferChannel:             "OFFER_CHANNEL",
	MsgRescindChannelOffer:      "RESCIND_CHANNEL_OFFER",
	MsgRequestOffers:            "REQUEST_OFFERS",
	MsgAllOffersDelivered:       "ALL_OFFERS_DELIVERED",
	MsgOpenChannel:              "OPEN_CHANNEL",
	MsgOpenChannelResult:        "OPEN_CHANNEL_RESULT",
	MsgCloseChannel:             "CLOSE_CHANNEL",
	MsgGPADLHeader:              "GPADL_HEADER",
	MsgGPADLBody:                "GPADL_BODY",
	MsgGPADLCreated:             "GPADL_CREATED",
	MsgGPADLTeardown:            "GPADL_TEARDOWN",
	MsgGPADLTorndown:            "GPADL_TORNDOWN",
	MsgRelIDReleased:            "REL_ID_RELEASED",
	MsgInitiateContact:          "INITIATE_CONTACT",
	MsgVersionResponse:          "VERSION_RESPONSE",
	MsgUnload:                   "UNLOAD",
	MsgUnloadComplete:           "UNLOAD_COMPLETE",
	MsgOpenReservedChannel:      "OPEN_RESERVED_CHANNEL",
	MsgCloseReservedChannel:     "CLOSE_RESERVED_CHANNEL",
	MsgCloseReservedResponse:    "CLOSE_RESERVED_RESPONSE",
	MsgTLConnectRequest:         "TL_CONNECT_REQUEST",
	MsgModifyChannel:            "MODIFY_CHANNEL",
	MsgTLConnectResult:          "TL_CONNECT_REQUEST_RESULT",
	MsgModifyChannelResponse:    "MODIFY_CHANNEL_RESPONSE",
	MsgModifyConnection:         "MODIFY_CONNECTION",
	MsgModifyConnectionResponse: "MODIFY_CONNECTION_RESPONSE",
	MsgPause:                    "PAUSE",
	MsgPauseResponse:            "PAUSE_RESPONSE",
	MsgResume:                   "RESUME",
}

// String gives the message's name, or its number when it is not known.
func (t MessageType) String() string {
	if int64(t) < int64(len(messageNames)) && messageNames[t] != "" {
		return messageNames[t]
	}
	return fmt.Sprintf("message %d", uint32(t))
}

// Known reports whether t is one of the 29 messages.
func (t MessageType) Known() bool { return t >= MsgOfferChannel && t <= MsgResume }

// Sizes of messages, in bytes.
const (
	HeaderSize     = 8   // every message
	MaxMessageSize = 240 // what a SynIC message slot carries
)

// Errors of the decoders.
var (
	ErrShort     = errors.New("too short")
	ErrMalformed = errors.New("malformed")
)

// DecodeType reads the type of any message, known or not.
func DecodeType(b []byte) (MessageType, error) {
	if len(b) < HeaderSize {
		return 0, fmt.Errorf("vmbus: message of %d bytes, need %d: %w", len(b), HeaderSize, ErrShort)
	}
	return MessageType(binary.LittleEndian.Uint32(b)), nil
}

// AppendHeader appends a message's header, which is the whole message for
// REQUEST_OFFERS, ALL_OFFERS_DELIVERED, UNLOAD, UNLOAD_COMPLETE, PAUSE,
// PAUSE_RESPONSE and RESUME.
func AppendHeader(b []byte, t MessageType) []byte {
	return u32(u32(b, uint32(t)), 0)
}

// open checks that b is a message of type t with at least size bytes. Longer
// ones are fine: hosts round sizes up, and newer versions append fields.
func open(b []byte, t MessageType, size int) error {
	got, err := DecodeType(b)
	if err != nil {
		return err
	}
	if got != t {
		return fmt.Errorf("vmbus: %v where %v was expected: %w", got, t, ErrMalformed)
	}
	if len(b) < size {
		return fmt.Errorf("vmbus: %v of %d bytes, need %d: %w", t, len(b), size, ErrShort)
	}
	return nil
}

func get16(b []byte, off int) uint16 { return binary.LittleEndian.Uint16(b[off:]) }
func get32(b []byte, off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
func get64(b []byte, off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
func u16(b []byte, v uint16) []byte  { return binary.LittleEndian.AppendUint16(b, v) }
func u32(b []byte, v uint32) []byte  { return binary.LittleEndian.AppendUint32(b, v) }
func u64(b []byte, v uint64) []byte  { return binary.LittleEndian.AppendUint64(b, v) }
