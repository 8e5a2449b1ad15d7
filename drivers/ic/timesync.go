// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"log/slog"
	"time"

	"github.com/hvgo/hvgo/drivers/vmbus"
	wireic "github.com/hvgo/hvgo/internal/wire/ic"
)

// Clock is the guest's clock.
type Clock interface {
	Reference() int64     // reference time (TLFS 12.4) in ns
	Realtime() int64      // ns since 1970-01-01 UTC
	SetRealtime(ns int64) // says what Realtime is now
}

const (
	// tolerance is how far the clock may be off before a sample corrects it: more
	// than the way of a message from a host that tells no reference time.
	tolerance = 20 * time.Millisecond
	// longWay is longer than any message is under way; a reference time further
	// back is not the guest's.
	longWay = time.Minute
)

// AttachTimeSync opens the time synchronisation service behind an offer. The clock is
// set when the host says so (at the start, and when the guest was paused) and when
// one of its samples shows the clock to be wrong.
func AttachTimeSync(bus *vmbus.Bus, offer vmbus.Offer, log *slog.Logger, c Clock) (*Service, error) {
	return newTimeSync(log, c).open(bus, offer)
}

func newTimeSync(log *slog.Logger, c Clock) *Service {
	return &Service{
		name: "time synchronisation", kind: wireic.MsgTimeSync, versions: wireic.TimeSyncVersions, log: log,
		request: func(version wireic.Version, body []byte) (wireic.Status, func()) {
			now, flags, ok := hostTime(version, body, c.Reference())
			if !ok {
				return wireic.StatusFail, nil
			}
			off := time.Duration(c.Realtime() - now)
			if flags&wireic.TimeSync != 0 || flags&wireic.TimeSample != 0 && off.Abs() > tolerance {
				c.SetRealtime(now)
				log.Info("ic: clock set by the host's", "was_ahead", off)
			}
			return wireic.StatusSuccess, nil
		},
	}
}

// hostTime reads the time that it is now, in ns since 1970, at a reference time in ns.
func hostTime(version wireic.Version, body []byte, reference int64) (now int64, flags uint8, ok bool) {
	if version.Major < 4 {
		m, err := wireic.DecodeTime(body)
		if err != nil {
			return 0, 0, false
		}
		now, ok = wireic.UnixNano(m.Parent)
		return now, m.Flags, ok && now >= 0
	}
	m, err := wireic.DecodeTimeV4(body)
	if err != nil {
		return 0, 0, false
	}
	now, ok = wireic.UnixNano(m.Parent)
	if here := uint64(reference / 100); m.Reference <= here && here-m.Reference <= uint64(longWay/100) {
		now += int64(here-m.Reference) * 100
	}
	return now, m.Flags, ok && now >= 0
}
