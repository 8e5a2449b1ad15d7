// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hvgo/hvgo/host/vmbus"
	wireic "github.com/hvgo/hvgo/internal/wire/ic"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// samplePeriod is the time between two samples, as on OpenVMM.
const samplePeriod = 5 * time.Second

// Clock is the time of the guest's world: wall-clock time, and the guest's reference
// time (TLFS 12.4) in units of 100 ns at the same moment.
type Clock func() (now time.Time, reference uint64, err error)

// TimeSync is the time synchronisation service, a vmbus.Device: the guest is told the
// time when it opens the channel, to set its clock, and every five seconds, to
// steer it.
type TimeSync struct {
	// Period is the time between two samples; 0 is 5 s. It is set before use.
	Period time.Duration

	mu    sync.Mutex
	clock Clock
	stats TimeStats
}

// TimeStats counts messages that the guest has answered.
type TimeStats struct {
	Open    bool // the guest has the service
	Synced  uint64
	Samples uint64
}

var _ vmbus.Device = (*TimeSync)(nil)

// NewTimeSync makes the service. Until it has a clock it tells the host's time, by
// the messages of before version 4.0, which know no reference time.
func NewTimeSync() *TimeSync { return new(TimeSync) }

// SetClock sets the clock. It counts from the next opened channel on.
func (s *TimeSync) SetClock(c Clock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = c
}

// Stats returns the counters.
func (s *TimeSync) Stats() TimeStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// set changes the counters.
func (s *TimeSync) set(f func(*TimeStats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.stats)
}

// Offer is vmbus.Device.
func (s *TimeSync) Offer() vmbus.Offer {
	return offer(wire.InterfaceTimeSync, wireic.TimeSyncInstance)
}

// Serve is vmbus.Device.
func (s *TimeSync) Serve(ctx context.Context, ch *vmbus.Channel) error {
	s.mu.Lock()
	clock := s.clock
	s.mu.Unlock()
	versions := wireic.TimeSyncVersions
	if clock == nil {
		versions = versions[:len(versions)-1]
		clock = func() (time.Time, uint64, error) { return time.Now(), 0, nil }
	}
	v, err := negotiate(ctx, ch, versions)
	if err != nil {
		return err
	}
	ch.Log().Debug("time synchronisation is ready", "framework", v.framework, "message", v.message)
	s.set(func(t *TimeStats) { t.Open = true })
	defer s.set(func(t *TimeStats) { t.Open = false })
	if err := tell(ctx, ch, v, clock, wireic.TimeSync); err != nil {
		return err
	}
	s.set(func(t *TimeStats) { t.Synced++ })
	for {
		if err := sleep(ctx, s.Period, samplePeriod); err != nil {
			return err
		}
		if err := tell(ctx, ch, v, clock, wireic.TimeSample); err != nil {
			return err
		}
		s.set(func(t *TimeStats) { t.Samples++ })
	}
}

// tell sends the time and waits for the answer, whose contents mean nothing: Windows
// ignores times that want none.
func tell(ctx context.Context, ch *vmbus.Channel, v agreed, clock Clock, flags uint8) error {
	now, reference, err := clock()
	if err != nil {
		return fmt.Errorf("ic: clock: %w", err)
	}
	body := wireic.Time{Parent: wireic.FileTime(now.UnixNano()), Flags: flags}.AppendTo(nil)
	if v.message.Major >= 4 {
		body = wireic.TimeV4{Parent: wireic.FileTime(now.UnixNano()), Reference: reference, Flags: flags}.AppendTo(nil)
	}
	if err := send(ctx, ch, v.header(wireic.MsgTimeSync), body); err != nil {
		return err
	}
	_, _, err = answer(ctx, ch, wireic.MsgTimeSync)
	return err
}
