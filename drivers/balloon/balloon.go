// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
)

// Memory is the machine's page allocator. Its methods may be called from several
// goroutines.
type Memory interface {
	// Take takes up to n adjacent pages out of use, while at least keep others
	// remain free. Count is 0 when there are none to be had.
	Take(n uint32, keep uint64) dynmem.Range
	// Give gives back pages from Take, in whatever pieces.
	Give(r dynmem.Range)
	// Stats gives the machine's memory now.
	Stats() Stats
}

// Stats are a machine's memory in pages.
type Stats struct {
	Total uint64 // all that the allocator has, pages from Take included
	Free  uint64
}

// Options adjust a Balloon. The zero value will do.
type Options struct {
	// Resized is called, from one goroutine, when pages were taken or given
	// back; out is how many are out of use.
	Resized func(out uint64)
	Log     *slog.Logger // slog.Default if nil
}

// Errors with which the service ends.
var (
	// ErrNoVersion: the host speaks no version that we do.
	ErrNoVersion = errors.New("balloon: no common version")
	// ErrRefused: the host does not want our capabilities.
	ErrRefused = errors.New("balloon: capabilities refused by host")
	// ErrTimeout: the host did not answer in time.
	ErrTimeout = errors.New("balloon: host does not answer")
)

// versions that we speak, newest first.
var versions = [...]dynmem.Version{dynmem.Version2_0, dynmem.Version1_0, dynmem.Version0_3}

const (
	// ringPages hold a message of the largest size several times.
	ringPages = 5
	// reportInterval is how often hosts expect a status report.
	reportInterval = time.Second
	// answerWait is how long the host may take to agree to versions and
	// capabilities.
	answerWait = 30 * time.Second
)

// state is how far the service is. The goroutine that handles messages alone looks
// at it, and changes it by Balloon.set.
//
//	askingVersion --accepted--> askingCapabilities --accepted--> ready
//	   |     ^                     |
//	   +-----+ refused, older one  +-- refused --> the service ends
type state int

const (
	askingVersion state = iota
	askingCapabilities
	ready
)

// Balloon is an open Dynamic Memory service.
type Balloon struct {
	ch   *vmbus.Channel
	post func(message []byte) error // to the host; waits for room
	mem  Memory
	opt  Options
	log  *slog.Logger

	agreed chan struct{} // closed when ready
	quiet  bool          // set before: the host wants no reports
	done   chan struct{} // closed when the service has ended

	// Of the handler's goroutine.
	state   state
	version int // index in versions
	skipped int // messages of no use

	mu          sync.Mutex
	transaction uint32  // guarded by mu: of the last message sent
	out         pageSet // guarded by mu: pages that the host has
}

// Attach opens the service behind an offer. Negotiation goes on behind it, so
// that a slow host does not hold the machine up.
func Attach(bus *vmbus.Bus, offer vmbus.Offer, mem Memory, opt Options) (*Balloon, error) {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Resized == nil {
		opt.Resized = func(uint64) {}
	}
	ch, err := bus.Open(offer.ChannelID, vmbus.OpenOptions{SendPages: ringPages, ReceivePages: ringPages})
	if err != nil {
		return nil, fmt.Errorf("balloon: %w", err)
	}
	b := &Balloon{ch: ch, mem: mem, opt: opt, log: opt.Log, agreed: make(chan struct{}), done: make(chan struct{})}
	b.post = func(message []byte) error { return ch.SendInBand(message, 0, false) }
	go b.run()
	return b, nil
}

// Agreed is closed when the host has accepted our version and capabilities.
func (b *Balloon) Agreed() <-chan struct{} { return b.agreed }

// Done is closed when the service has ended. Pages that the host has by then stay
// out of use.
func (b *Balloon) Done() <-chan struct{} { return b.done }

// Close ends the service.
func (b *Balloon) Close() {
	b.ch.Stop(vmbus.ErrClosed)
	<-b.done
}

// Out gives the number of pages that the host has.
func (b *Balloon) Out() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.count
}

// run is the service: one goroutine for the host's messages, this one for time.
func (b *Balloon) run() {
	defer close(b.done)
	err := b.askVersion()
	served := make(chan error, 1)
	go func() {
		err := b.ch.Serve(b.packets)
		b.ch.Stop(err)
		served <- err
	}()
	if err == nil {
		err = b.waitAgreed()
	}
	if err == nil {
		err = b.report()
	}
	b.ch.Stop(err)
	err = <-served
	if cerr := b.ch.Close(); cerr != nil {
		b.log.Warn("balloon: closing the channel", "err", cerr)
	}
	if !errors.Is(err, vmbus.ErrClosed) {
		b.log.Warn("balloon: dynamic memory ended", "err", err, "pages with the host", b.Out())
	}
}

func (b *Balloon) waitAgreed() error {
	patience := time.NewTimer(answerWait)
	defer patience.Stop()
	select {
	case <-b.agreed:
		return nil
	case <-b.ch.Done():
		return b.ch.Err()
	case <-patience.C:
		return ErrTimeout
	}
}

// report sends a status report each second until the channel ends, the first after
// half a second. QEMU acts on its own 45 s after the capabilities, and an assertion
// ends it (10.0.2) if a packet of ours lies in the ring just then.
func (b *Balloon) report() error {
	if b.quiet {
		<-b.ch.Done()
		return b.ch.Err()
	}
	next := time.NewTimer(reportInterval / 2)
	defer next.Stop()
	for due := time.Now().Add(reportInterval / 2); ; {
		select {
		case <-next.C:
		case <-b.ch.Done():
			return b.ch.Err()
		}
		if err := b.send(dynmem.MsgStatusReport, b.status().AppendTo(nil)); err != nil {
			return err
		}
		for !due.After(time.Now()) {
			due = due.Add(reportInterval)
		}
		next.Reset(time.Until(due))
	}
}

// status is what the host balances memory by. It counts as committed what is in
// use, what the host has, and the floor, so that a host that leaves us that much
// never asks for a page that we refuse.
func (b *Balloon) status() dynmem.Status {
	s := b.mem.Stats()
	return dynmem.Status{
		Available: s.Free, ZeroFree: s.Free,
		Committed: s.Total - min(s.Free, s.Total) + floor(s.Total),
	}
}

// send sends one message under the next transaction number: they are the guest's
// to count, in answers to the host too.
func (b *Balloon) send(t dynmem.MessageType, body []byte) error {
	b.mu.Lock()
	b.transaction++
	transaction := b.transaction
	b.mu.Unlock()
	return b.post(dynmem.Message(t, transaction, body))
}

// askVersion proposes the version that is next.
func (b *Balloon) askVersion() error {
	m := dynmem.VersionRequest{Version: versions[b.version], Last: b.version == len(versions)-1}
	return b.send(dynmem.MsgVersionRequest, m.AppendTo(nil))
}

// set is the one setter of state.
func (b *Balloon) set(s state) {
	b.state = s
	if s == ready {
		close(b.agreed)
	}
}

func (b *Balloon) versionAnswered(m dynmem.VersionResponse) error {
	switch {
	case b.state != askingVersion:
		return b.skip(fmt.Errorf("version response in state %d", b.state))
	case !m.Accepted:
		if b.version++; b.version == len(versions) {
			return ErrNoVersion
		}
		return b.askVersion()
	}
	b.set(askingCapabilities)
	// No least number of pages: how few will do is not known before the program has
	// run for a while. The floor is in the reports. Linux says the same.
	c := dynmem.Capabilities{Balloon: true, MaxPage: ^uint64(0)}
	return b.send(dynmem.MsgCapabilitiesReport, c.AppendTo(nil))
}

func (b *Balloon) capabilitiesAnswered(m dynmem.CapabilitiesResponse) error {
	switch {
	case b.state != askingCapabilities:
		return b.skip(fmt.Errorf("capabilities response in state %d", b.state))
	case !m.Accepted:
		return ErrRefused
	}
	b.quiet = m.SuppressReports
	b.set(ready)
	b.log.Debug("balloon: dynamic memory", "version", versions[b.version], "reports", !m.SuppressReports)
	return nil
}
