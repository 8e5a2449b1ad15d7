// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package tlfs

import (
	"encoding/binary"
	"fmt"
)

// Hypercall codes, TLFS appendix A. Only those that this project makes or
// answers.
const (
	HvCallFlushVirtualAddressSpace   = 0x0002
	HvCallFlushVirtualAddressList    = 0x0003
	HvCallNotifyLongSpinWait         = 0x0008
	HvCallSendSyntheticClusterIpi    = 0x000B
	HvCallFlushVirtualAddressSpaceEx = 0x0013
	HvCallFlushVirtualAddressListEx  = 0x0014
	HvCallSendSyntheticClusterIpiEx  = 0x0015
	HvCallPostMessage                = 0x005C
	HvCallSignalEvent                = 0x005D
	HvCallRetargetDeviceInterrupt    = 0x007E
	HvCallStartVirtualProcessor      = 0x0099
	HvCallGetVpIndexFromApicId       = 0x009A
	HvExtCallQueryCapabilities       = 0x8001
)

// Hypercall input value, TLFS 3.7: the call code in bits 0 to 15.
const (
	HypercallCodeMask      = 0xFFFF
	HypercallFast          = 1 << 16 // input in registers, not in memory
	HypercallVarHeadShift  = 17
	HypercallRepCountShift = 32 // 12 bits
	HypercallRepStartShift = 48 // 12 bits
	HypercallRepMask       = 0xFFF
)

// Status is a hypercall status, bits 0 to 15 of the result value (TLFS 3.8,
// appendix B). It is an error when it is not StatusSuccess.
type Status uint16

// Statuses that this project meets.
const (
	StatusSuccess                Status = 0x00
	StatusInvalidHypercallCode   Status = 0x02
	StatusInvalidHypercallInput  Status = 0x03
	StatusInvalidAlignment       Status = 0x04
	StatusInvalidParameter       Status = 0x05
	StatusAccessDenied           Status = 0x06
	StatusInvalidPartitionState  Status = 0x07
	StatusOperationDenied        Status = 0x08
	StatusUnknownProperty        Status = 0x09
	StatusInsufficientMemory     Status = 0x0B
	StatusInvalidPartitionID     Status = 0x0D
	StatusInvalidVpIndex         Status = 0x0E
	StatusInvalidPortID          Status = 0x11
	StatusInvalidConnectionID    Status = 0x12
	StatusInsufficientBuffers    Status = 0x13
	StatusNotAcknowledged        Status = 0x14
	StatusInvalidVpState         Status = 0x15
	StatusInvalidSynicState      Status = 0x18
	StatusFeatureUnavailable     Status = 0x1E
	StatusTimeout                Status = 0x78
	StatusVtlAlreadyEnabled      Status = 0x86
	hypercallResultStatusMask           = 0xFFFF
	hypercallResultRepsDoneShift        = 32
)

var statusNames = map[Status]string{
	StatusSuccess:               "success",
	StatusInvalidHypercallCode:  "invalid hypercall code",
	StatusInvalidHypercallInput: "invalid hypercall input",
	StatusInvalidAlignment:      "invalid alignment",
	StatusInvalidParameter:      "invalid parameter",
	StatusAccessDenied:          "access denied",
	StatusInvalidPartitionState: "invalid partition state",
	StatusOperationDenied:       "operation denied",
	StatusUnknownProperty:       "unknown property",
	StatusInsufficientMemory:    "insufficient memory",
	StatusInvalidPartitionID:    "invalid partition id",
	StatusInvalidVpIndex:        "invalid VP index",
	StatusInvalidPortID:         "invalid port id",
	StatusInvalidConnectionID:   "invalid connection id",
	StatusInsufficientBuffers:   "insufficient buffers",
	StatusNotAcknowledged:       "not acknowledged",
	StatusInvalidVpState:        "invalid VP state",
	StatusInvalidSynicState:     "invalid SynIC state",
	StatusFeatureUnavailable:    "feature unavailable",
	StatusTimeout:               "timeout",
	StatusVtlAlreadyEnabled:     "VTL already enabled",
}

// Error makes a Status an error; success is one too, so compare first.
func (s Status) Error() string {
	if name, ok := statusNames[s]; ok {
		return "hypercall: " + name
	}
	return fmt.Sprintf("hypercall: status %#x", uint16(s))
}

// ResultStatus takes the status out of a hypercall's result value.
func ResultStatus(result uint64) Status { return Status(result & hypercallResultStatusMask) }

// ResultRepsDone takes the number of completed repetitions out of a
// hypercall's result value.
func ResultRepsDone(result uint64) int {
	return int(result >> hypercallResultRepsDoneShift & HypercallRepMask)
}

// PostMessageInput is the input of HvCallPostMessage, TLFS 11.11.1.
//
//	0            4    8              12             16        256
//	+------------+----+--------------+--------------+---------+
//	| connection | 0  | message type | payload size | payload |
//	+------------+----+--------------+--------------+---------+
type PostMessageInput struct {
	ConnectionID uint32
	MessageType  uint32 // non-zero, top bit clear
	PayloadSize  uint32 // bytes, at most MessagePayloadSize
	Payload      [MessagePayloadSize]byte
}

// PostMessageInputSize is the encoded size of a PostMessageInput.
const PostMessageInputSize = 256

// DecodePostMessageInput reads the input block from b. A payload size beyond
// the limit is an error.
func DecodePostMessageInput(b []byte) (p PostMessageInput, err error) {
	if len(b) < PostMessageInputSize {
		return p, short("PostMessage input", b, PostMessageInputSize)
	}
	p.ConnectionID = binary.LittleEndian.Uint32(b[0:])
	p.MessageType = binary.LittleEndian.Uint32(b[8:])
	p.PayloadSize = binary.LittleEndian.Uint32(b[12:])
	if p.PayloadSize > MessagePayloadSize {
		return PostMessageInput{}, fmt.Errorf("PostMessage input: payload of %d bytes: %w", p.PayloadSize, ErrMalformed)
	}
	copy(p.Payload[:], b[16:PostMessageInputSize])
	return p, nil
}

// AppendTo appends the encoded input block to b.
func (p *PostMessageInput) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, p.ConnectionID)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, p.MessageType)
	b = binary.LittleEndian.AppendUint32(b, p.PayloadSize)
	return append(b, p.Payload[:]...)
}

// SignalEventInput is the input of HvCallSignalEvent, TLFS 11.11.2: one
// 64-bit word, so the call is made in its fast form.
type SignalEventInput struct {
	ConnectionID uint32
	Flag         uint16 // added to the connection's base flag number
}

// SignalEventInputSize is the encoded size of a SignalEventInput.
const SignalEventInputSize = 8

// DecodeSignalEventInput reads the input block from b.
func DecodeSignalEventInput(b []byte) (s SignalEventInput, err error) {
	if len(b) < SignalEventInputSize {
		return s, short("SignalEvent input", b, SignalEventInputSize)
	}
	return SignalEventFromWord(binary.LittleEndian.Uint64(b)), nil
}

// SignalEventFromWord reads the fast form.
func SignalEventFromWord(w uint64) SignalEventInput {
	return SignalEventInput{ConnectionID: uint32(w), Flag: uint16(w >> 32)}
}

// Word gives the fast form.
func (s SignalEventInput) Word() uint64 { return uint64(s.ConnectionID) | uint64(s.Flag)<<32 }

// AppendTo appends the encoded input block to b.
func (s SignalEventInput) AppendTo(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(b, s.Word())
}
