// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"encoding/binary"

	"github.com/hvgo/hvgo/internal/guid"
)

// Instance ids of the other services; their interface ids are those of package vmbus.
var (
	HeartbeatInstance = guid.MustParse("fd149e91-82e0-4a7d-afa6-2a4166cbd7c0")
	TimeSyncInstance  = guid.MustParse("2dd1ce17-079e-403c-b352-a1921ee207ee")
)

// Versions of the services, oldest first. Of time synchronisation 4.0 has another
// message than those before.
var (
	HeartbeatVersions = []Version{{1, 0}, {3, 0}}
	TimeSyncVersions  = []Version{{1, 0}, {3, 0}, {4, 0}}
)

// Heartbeat asks whether the guest is alive. The guest answers with the number
// counted up by one (Linux), and its state if it knows one.
//
//	0          8       12        40
//	+----------+-------+---------+
//	| sequence | state |    0    |
//	+----------+-------+---------+
type Heartbeat struct {
	Sequence uint64
	State    HeartbeatState
}

// HeartbeatState is how the guest is.
type HeartbeatState uint32

// States of a Heartbeat.
const (
	HeartbeatUnknown  HeartbeatState = 0
	HeartbeatHealthy  HeartbeatState = 1
	HeartbeatCritical HeartbeatState = 2
	HeartbeatStopped  HeartbeatState = 3
)

// Sizes of a Heartbeat. The size agrees with Linux's heartbeat_msg_data; what is
// behind the number may be missing.
const (
	HeartbeatMinSize = 8
	HeartbeatSize    = 40
)

// DecodeHeartbeat reads the body of a MsgHeartbeat.
func DecodeHeartbeat(b []byte) (h Heartbeat, err error) {
	if len(b) < HeartbeatMinSize {
		return h, short("heartbeat", b, HeartbeatMinSize)
	}
	h.Sequence = binary.LittleEndian.Uint64(b)
	if len(b) >= 12 {
		h.State = HeartbeatState(binary.LittleEndian.Uint32(b[8:]))
	}
	return h, nil
}

// AppendTo appends the encoded body to b.
func (h Heartbeat) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, h.Sequence)
	b = binary.LittleEndian.AppendUint32(b, uint32(h.State))
	return append(b, make([]byte, HeartbeatSize-12)...)
}

// Flags of a time message.
const (
	TimeSync   = 1 << 0 // set the clock
	TimeSample = 1 << 1 // for a clock that is steered
)

// Time is the host's time, before version 4.0 of the service.
//
//	0        8       16           24      25    28
//	+--------+-------+------------+-------+-----+
//	| parent | child | round trip | flags |  0  |
//	+--------+-------+------------+-------+-----+
type Time struct {
	Parent    uint64 // units of 100 ns since 1601-01-01 UTC; see FileTime
	Child     uint64 // not used
	RoundTrip uint64 // units of 100 ns, as measured by the host
	Flags     uint8
}

// Sizes of a Time.
const (
	TimeMinSize = 25
	TimeSize    = 28
)

// DecodeTime reads the body of a MsgTimeSync before version 4.0.
func DecodeTime(b []byte) (t Time, err error) {
	if len(b) < TimeMinSize {
		return t, short("time", b, TimeMinSize)
	}
	le := binary.LittleEndian
	return Time{le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:]), b[24]}, nil
}

// AppendTo appends the encoded body to b.
func (t Time) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, t.Parent)
	b = binary.LittleEndian.AppendUint64(b, t.Child)
	b = binary.LittleEndian.AppendUint64(b, t.RoundTrip)
	return append(b, t.Flags, 0, 0, 0)
}

// TimeV4 is the host's time from version 4.0 on.
//
//	0        8           16      17     18        19    24
//	+--------+-----------+-------+------+---------+-----+
//	| parent | reference | flags | leap | stratum |  0  |
//	+--------+-----------+-------+------+---------+-----+
type TimeV4 struct {
	Parent    uint64 // units of 100 ns since 1601-01-01 UTC; see FileTime
	Reference uint64 // the guest's reference time (TLFS 12.4) at that moment
	Flags     uint8
	Leap      uint8 // NTP's leap indicator
	Stratum   uint8 // NTP's
}

// Sizes of a TimeV4. Guests look at the first 22 bytes at most.
const (
	TimeV4MinSize = 19
	TimeV4Size    = 24
)

// DecodeTimeV4 reads the body of a MsgTimeSync from version 4.0 on.
func DecodeTimeV4(b []byte) (t TimeV4, err error) {
	if len(b) < TimeV4MinSize {
		return t, short("time", b, TimeV4MinSize)
	}
	le := binary.LittleEndian
	return TimeV4{le.Uint64(b), le.Uint64(b[8:]), b[16], b[17], b[18]}, nil
}

// AppendTo appends the encoded body to b.
func (t TimeV4) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, t.Parent)
	b = binary.LittleEndian.AppendUint64(b, t.Reference)
	return append(b, t.Flags, t.Leap, t.Stratum, 0, 0, 0, 0, 0)
}

// unixEpoch is 1970-01-01 as a FileTime.
const unixEpoch = 11_644_473_600 * 10_000_000

// FileTime returns a time, given in nanoseconds since 1970-01-01 UTC, in units of 100 ns
// since 1601-01-01 UTC.
func FileTime(unixNano int64) uint64 { return uint64(unixNano/100) + unixEpoch }

// UnixNano is the inverse of FileTime; ok is false beyond the years 1678 to 2262.
func UnixNano(fileTime uint64) (ns int64, ok bool) {
	const limit = 1<<63/100 - 1
	d := int64(fileTime - unixEpoch)
	return d * 100, d >= -limit && d <= limit
}
