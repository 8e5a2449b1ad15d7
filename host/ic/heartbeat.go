// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"context"
	"sync"
	"time"

	"github.com/hvgo/hvgo/host/vmbus"
	wireic "github.com/hvgo/hvgo/internal/wire/ic"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// heartbeatPeriod is the time between two questions, as on Hyper-V.
const heartbeatPeriod = 2 * time.Second

// Heartbeat is the heartbeat service, a vmbus.Device: every two seconds the host asks
// whether the guest is alive.
type Heartbeat struct {
	// Period is the time between two questions; 0 is 2 s. It is set before use.
	Period time.Duration

	mu   sync.Mutex
	beat Beat
}

// Beat is what is known of a guest's heart.
type Beat struct {
	Open     bool      // the guest has the service
	Asked    uint64    // questions
	Answered uint64    // of them
	Last     time.Time // of the last answer
	State    wireic.HeartbeatState
}

var _ vmbus.Device = (*Heartbeat)(nil)

// NewHeartbeat makes the service.
func NewHeartbeat() *Heartbeat { return new(Heartbeat) }

// Offer is vmbus.Device.
func (b *Heartbeat) Offer() vmbus.Offer {
	return offer(wire.InterfaceHeartbeat, wireic.HeartbeatInstance)
}

// Beat returns what is known.
func (b *Heartbeat) Beat() Beat {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.beat
}

// set changes what is known.
func (b *Heartbeat) set(f func(*Beat)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.beat)
}

// Serve is vmbus.Device.
func (b *Heartbeat) Serve(ctx context.Context, ch *vmbus.Channel) error {
	v, err := negotiate(ctx, ch, wireic.HeartbeatVersions)
	if err != nil {
		return err
	}
	ch.Log().Debug("heartbeat service is ready", "framework", v.framework, "message", v.message)
	b.set(func(s *Beat) { s.Open = true })
	defer b.set(func(s *Beat) { s.Open = false })
	for number := uint64(1); ; number++ {
		if err := b.ask(ctx, ch, v, number); err != nil {
			return err
		}
		if err := sleep(ctx, b.Period, heartbeatPeriod); err != nil {
			return err
		}
	}
}

// ask asks once and waits for the answer.
func (b *Heartbeat) ask(ctx context.Context, ch *vmbus.Channel, v agreed, number uint64) error {
	b.set(func(s *Beat) { s.Asked++ })
	if err := send(ctx, ch, v.header(wireic.MsgHeartbeat), wireic.Heartbeat{Sequence: number}.AppendTo(nil)); err != nil {
		return err
	}
	_, body, err := answer(ctx, ch, wireic.MsgHeartbeat)
	if err != nil {
		return err
	}
	m, err := wireic.DecodeHeartbeat(body)
	if err != nil {
		return vmbus.Broken("%v", err)
	}
	if m.Sequence != number && m.Sequence != number+1 {
		ch.Report("ic: heartbeat %d is answered %d", number, m.Sequence)
	}
	b.set(func(s *Beat) { s.Answered, s.Last, s.State = s.Answered+1, time.Now(), m.State })
	return nil
}

// sleep waits for d, or for usual if d is 0.
func sleep(ctx context.Context, d, usual time.Duration) error {
	if d == 0 {
		d = usual
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
