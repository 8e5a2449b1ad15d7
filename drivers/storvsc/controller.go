// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsc

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// Ring sizes in pages. A request of 256 KiB takes about 620 bytes, so that a
// full queue nearly fits.
const (
	sendPages    = 9
	receivePages = 5
)

// Controller is a synthetic SCSI controller.
//
//	Attach       rescind, corrupt ring, host stuck, Close
//	  |             |
//	  v             v
//	running ----> dead: the channel is closed, all calls fail
type Controller struct {
	ch      *vmbus.Channel
	p       vmbus.Platform
	log     *slog.Logger
	q       *queue
	bounce  *bouncePool
	version vstor.Version
	max     int // bytes of data in a request
	changed chan struct{}
	dead    chan struct{}
	skipped int // used by handle only

	mu    sync.Mutex
	err   error   // guarded by mu: why dead is closed
	disks []*Disk // guarded by mu
}

// transferLimit bounds what we ask for at once, whatever the host allows.
const transferLimit = 1 << 20

// requestTimeout is how long a request may take. Hosts pause machines and
// disks for tens of seconds.
const requestTimeout = 60 * time.Second

// Attach opens the controller behind an offer, negotiates, and looks for
// disks. A controller without disks is not an error.
func Attach(bus *vmbus.Bus, p vmbus.Platform, offer vmbus.Offer, log *slog.Logger) (*Controller, error) {
	return attach(bus, p, offer, log, requestTimeout)
}

func attach(bus *vmbus.Bus, p vmbus.Platform, offer vmbus.Offer, log *slog.Logger, timeout time.Duration) (*Controller, error) {
	ch, err := bus.Open(offer.ChannelID, vmbus.OpenOptions{SendPages: sendPages, ReceivePages: receivePages})
	if err != nil {
		return nil, fmt.Errorf("storvsc: %w", err)
	}
	c := &Controller{
		ch: ch, p: p, log: log.With("controller", offer.InstanceID),
		changed: make(chan struct{}, 1), dead: make(chan struct{}), max: bounceSize,
	}
	c.bounce = &bouncePool{alloc: p.AllocPages, dead: c.dead, free: make(chan *vmbus.Pages, bounceCount)}
	c.q = newQueue(ch, c.dead, timeout, c.giveUp)
	go c.run()
	if err := c.negotiate(); err != nil {
		err = c.cause(err)
		c.Close()
		return nil, fmt.Errorf("storvsc: %w", err)
	}
	if err := c.Rescan(); err != nil {
		err = c.cause(err)
		c.Close()
		return nil, fmt.Errorf("storvsc: looking for disks: %w", err)
	}
	return c, nil
}

// run serves the channel until it ends, and takes our pages back from the host
// before the callers get theirs.
func (c *Controller) run() {
	err := c.ch.Serve(c.handle)
	cerr := c.ch.Close()
	if cerr != nil {
		c.log.Warn("storvsc: closing", "err", cerr)
	}
	if !errors.Is(err, vmbus.ErrClosed) {
		c.log.Error("storvsc: controller ended", "err", err)
	}
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	c.bounce.drain(cerr == nil && c.ch.Released()) // a bus that failed lets Close do nothing
	close(c.dead)
}

// giveUp ends a controller whose host does not complete requests.
func (c *Controller) giveUp() { c.ch.Stop(ErrNotResponding) }

// abandon ends a controller whose ring takes no more requests, and returns
// when the host has let go of our pages.
func (c *Controller) abandon(err error) {
	c.ch.Stop(err)
	<-c.dead
}

// Close ends the controller. Calls under way fail.
func (c *Controller) Close() { c.abandon(vmbus.ErrClosed) }

// Done is closed when the controller has ended; Err says why.
func (c *Controller) Done() <-chan struct{} { return c.dead }

// Err is nil while the controller works.
func (c *Controller) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// cause puts the reason of the controller's end into ErrDisconnected.
func (c *Controller) cause(err error) error {
	if errors.Is(err, ErrDisconnected) {
		if why := c.Err(); why != nil {
			return fmt.Errorf("%w: %w", ErrDisconnected, why)
		}
	}
	return err
}

// Version is the negotiated protocol version.
func (c *Controller) Version() vstor.Version { return c.version }

// MaxTransfer is the largest request in bytes.
func (c *Controller) MaxTransfer() int { return c.max }

// Disks lists the disks of the last scan, by target and LUN.
func (c *Controller) Disks() []*Disk {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.disks)
}

// Changed receives when the host says that disks came or went; Rescan then
// finds out which.
func (c *Controller) Changed() <-chan struct{} { return c.changed }

// Stats gives the channel's counters.
func (c *Controller) Stats() vmbus.ChannelStats { return c.ch.Stats() }
