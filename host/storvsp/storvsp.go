// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// Backend is where a disk's bytes are. Its methods are called from several goroutines
// at once.
type Backend interface {
	// ReadAt and WriteAt transfer whole blocks within Size, as io.ReaderAt and
	// io.WriterAt do.
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	// Flush returns when all that WriteAt has written is durable.
	Flush() error
	Size() int64    // bytes; what is more than whole blocks is not used
	BlockSize() int // bytes: 512 or 4096
	ReadOnly() bool
}

// Unmapper is a Backend that can give space back. Unmapped bytes read as zero.
type Unmapper interface {
	Unmap(off, n int64) error
}

// Options adjust a Controller; the zero value is a good one.
type Options struct {
	Instance    guid.GUID     // of the channel's offer; zero is a random one
	MaxVersion  vstor.Version // newest accepted; 0 is 6.2
	MaxTransfer uint32        // bytes in one request; 0 is 256 KiB, as on OpenVMM
	Workers     int           // requests served at a time on a channel; 0 is 4
	Fault       FaultFunc     // the fault hook from the start; nil for none
	SubChannels uint16        // how many the guest may ask for
}

// Limits.
const (
	defaultMaxTransfer = 256 << 10
	largestMaxTransfer = 64 << 20
	defaultWorkers     = 4
	maxLUN             = 63 // Hyper-V has 64 LUNs on a controller
)

// Controller is a vmbus.Device with up to 64 disks on path 0, target 0.
type Controller struct {
	opt Options

	mu      sync.Mutex
	disks   map[uint8]*disk
	fault   FaultFunc
	version vstor.Version               // of the primary channel, once negotiated; for sub-channels
	open    map[*vmbus.Channel]struct{} // primary channels past negotiation
	running map[chan struct{}]struct{}  // requests, of all channels; closed at their end
}

var _ vmbus.Device = (*Controller)(nil)

// New makes a controller without disks.
func New(opt Options) (*Controller, error) {
	if opt.Instance.IsZero() {
		opt.Instance = guid.New()
	}
	if opt.MaxVersion == 0 {
		opt.MaxVersion = vstor.Version6_2
	}
	if opt.MaxTransfer == 0 {
		opt.MaxTransfer = defaultMaxTransfer
	}
	if opt.Workers == 0 {
		opt.Workers = defaultWorkers
	}
	if opt.MaxTransfer < 4096 || opt.MaxTransfer > largestMaxTransfer || opt.Workers < 0 || opt.SubChannels > vmbus.MaxSubChannels {
		return nil, fmt.Errorf("storvsp: transfers of %d bytes, %d workers, %d sub-channels", opt.MaxTransfer, opt.Workers, opt.SubChannels)
	}
	return &Controller{opt: opt, fault: opt.Fault, disks: map[uint8]*disk{}, open: map[*vmbus.Channel]struct{}{}, running: map[chan struct{}]struct{}{}}, nil
}

// ErrLUN is returned for a LUN that is out of range, in use, or empty.
var ErrLUN = errors.New("storvsp: LUN not usable")

// AddDisk attaches a disk; a running guest is told to look again.
func (c *Controller) AddDisk(lun uint8, b Backend) error {
	bs := b.BlockSize()
	if bs != 512 && bs != 4096 || b.Size() < int64(bs) {
		return fmt.Errorf("storvsp: LUN %d: %d bytes in blocks of %d", lun, b.Size(), bs)
	}
	c.mu.Lock()
	if lun > maxLUN || c.disks[lun] != nil {
		c.mu.Unlock()
		return fmt.Errorf("%w: %d", ErrLUN, lun)
	}
	d := &disk{lun: lun, b: b, blockSize: uint64(bs), blocks: uint64(b.Size()) / uint64(bs), maxTransfer: c.opt.MaxTransfer}
	d.id = c.opt.Instance
	d.id[15] ^= lun // distinct, and the same at each start
	c.disks[lun] = d
	c.mu.Unlock()
	c.enumerate()
	return nil
}

// RemoveDisk detaches a disk. Requests under way end first.
func (c *Controller) RemoveDisk(lun uint8) error {
	c.mu.Lock()
	d := c.disks[lun]
	delete(c.disks, lun)
	c.mu.Unlock()
	if d == nil {
		return fmt.Errorf("%w: %d", ErrLUN, lun)
	}
	d.busy.Lock() // waits for the requests under way; new ones cannot find the disk
	defer d.busy.Unlock()
	c.enumerate()
	return nil
}

// enumerate tells guests of 4.2 and later that the LUNs have changed.
func (c *Controller) enumerate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version < vstor.Version4_2 {
		return
	}
	for ch := range c.open {
		p := vstor.Packet{Operation: vstor.OpEnumerateBus}
		b := p.AppendTo(nil)[:c.version.PacketSize()]
		if ok, err := ch.TryWritePacket(vmbus.OutPacket{Type: wire.PacketInBand, Payload: b}); !ok {
			ch.Log().Warn("guest not told about new disks", "channel", ch.ID(), "err", err)
		}
	}
}

// luns lists the LUNs with a disk, in order.
func (c *Controller) luns() (luns []uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for lun := range c.disks {
		luns = append(luns, uint16(lun))
	}
	slices.Sort(luns)
	return luns
}

// use returns the disk at a LUN, or nil. The caller ends the use by d.busy.RUnlock.
func (c *Controller) use(lun uint8) *disk {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.disks[lun]
	if d != nil {
		d.busy.RLock()
	}
	return d
}

// Offer is vmbus.Device.
func (c *Controller) Offer() vmbus.Offer {
	return vmbus.Offer{Interface: wire.InterfaceSCSI, Instance: c.opt.Instance, Flags: wire.OfferEnumerateInterface}
}

// Serve is vmbus.Device.
func (c *Controller) Serve(ctx context.Context, ch *vmbus.Channel) error {
	s := &session{c: c, ch: ch}
	if ch.SubIndex != 0 {
		c.mu.Lock()
		s.version, s.state = c.version, ready
		c.mu.Unlock()
	}
	defer c.forget(ch)
	return s.run(ctx)
}

func (c *Controller) forget(ch *vmbus.Channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, ch)
}
