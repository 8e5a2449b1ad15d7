// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/guid"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Frames is the network that a card is plugged into.
type Frames interface {
	// Transmit takes an Ethernet frame of the guest's, without FCS. The memory is
	// the card's again when it returns. It is called by one goroutine at a time,
	// which must not wait in it for Room.
	Transmit(frame []byte)
	// Room follows a Deliver that was refused, once there is room again. It may
	// call Deliver.
	Room()
}

// Limits.
const (
	ethernetHeader = 14
	defaultMTU     = 1500
	maxMTU         = 9216 - ethernetHeader // what NDIS config may ask for
	defaultQueue   = 1024                  // frames
	maxQueue       = 1 << 16
)

// Options adjust a NIC; the zero value is a good one, but for Network.
type Options struct {
	Instance guid.GUID // of the channel's offer; zero is a random one
	MAC      [6]byte   // zero is a random one of Microsoft's range
	Network  Frames    // nil: frames of the guest's go nowhere

	// MaxVersion is the newest NVSP version that is accepted; 0 is 6.1.
	MaxVersion nvsp.Version
	// MTU is the largest IP packet in bytes that the network takes; 0 is 1500. A
	// guest that asks for more gets this.
	MTU int
	// SlotSize is the size of a receive slot in bytes where the MTU needs no more:
	// 0 is 256 + frame + 36, as on OpenVMM; Hyper-V has 1728 for MTU 1500.
	SlotSize int
	// Queue is the number of frames that wait for the guest on each channel; 0 is
	// 1024.
	Queue int
	// Queues is how many channels the guest may have at most, the primary one
	// included: 0 is 1, so that there are no sub-channels. Up to 64.
	Queues int
	// Pack puts several RNDIS packets into one slot when they fit. RNDIS allows it;
	// Linux reads only the first.
	Pack bool
	// NoTxChecksum, NoRxChecksum and NoLSO take the offloads away. There is no LSO
	// without Tx checksums.
	NoTxChecksum, NoRxChecksum, NoLSO bool
	// Uncut gives the network large TCP frames of the guest's as they are, longer
	// than the MTU, up to 64 KiB, with the checksums of the whole.
	Uncut bool
	// Pcap, if not nil, gets a copy of each frame.
	Pcap *Pcap
}

// NIC is a vmbus.Device: one network card.
type NIC struct {
	opt      Options
	stats    counters
	channels []channelCounters // by number

	transmitMu sync.Mutex // held in Frames.Transmit

	mu      sync.Mutex // guards all below, and what the queues say
	link    bool       // the cable is plugged in
	session *session   // nil: the channel is not open
	faults  Faults
}

// queuedFrame is a frame that waits for the guest.
type queuedFrame struct {
	frame   []byte
	checked bool // see Deliver
}

var _ vmbus.Device = (*NIC)(nil)

// New makes a card with the cable plugged in.
func New(opt Options) (*NIC, error) {
	if opt.Instance.IsZero() {
		opt.Instance = guid.New()
	}
	if opt.MAC == ([6]byte{}) {
		opt.MAC = [6]byte{0x00, 0x15, 0x5D} // Microsoft's, as Hyper-V assigns them
		if _, err := rand.Read(opt.MAC[3:]); err != nil {
			return nil, fmt.Errorf("netvsp: MAC address: %w", err)
		}
	}
	if opt.MaxVersion == 0 {
		opt.MaxVersion = nvsp.Version61
	}
	if opt.MTU == 0 {
		opt.MTU = defaultMTU
	}
	if opt.Queue == 0 {
		opt.Queue = defaultQueue
	}
	if opt.Queues == 0 {
		opt.Queues = 1
	}
	switch {
	case opt.MAC[0]&1 != 0:
		return nil, fmt.Errorf("netvsp: %x is no station's address", opt.MAC)
	case opt.MTU < 576 || opt.MTU > maxMTU:
		return nil, fmt.Errorf("netvsp: MTU %d is not within 576 and %d", opt.MTU, maxMTU)
	case opt.Queue < 1 || opt.Queue > maxQueue:
		return nil, fmt.Errorf("netvsp: queue of %d frames", opt.Queue)
	case opt.Queues < 1 || opt.Queues > maxQueues:
		return nil, fmt.Errorf("netvsp: %d channels are not within 1 and %d", opt.Queues, maxQueues)
	case opt.SlotSize < 0 || opt.SlotSize > maxSlotSize:
		return nil, fmt.Errorf("netvsp: slots of %d bytes", opt.SlotSize)
	case opt.MaxVersion < nvsp.Version1:
		return nil, errors.New("netvsp: no NVSP version is left")
	}
	return &NIC{opt: opt, link: true, channels: make([]channelCounters, opt.Queues)}, nil
}

// MAC is the card's address.
func (n *NIC) MAC() [6]byte { return n.opt.MAC }

// Offer is vmbus.Device.
func (n *NIC) Offer() vmbus.Offer {
	return vmbus.Offer{Interface: wire.InterfaceNetwork, Instance: n.opt.Instance, Flags: wire.OfferEnumerateInterface}
}

// Serve is vmbus.Device.
func (n *NIC) Serve(ctx context.Context, ch *vmbus.Channel) error {
	if ch.SubIndex != 0 {
		return n.join(ctx, ch)
	}
	s := newSession(n, ch)
	var end context.CancelFunc
	s.ctx, end = context.WithCancel(ctx)
	defer end()
	s.end = end
	n.mu.Lock()
	n.session = s
	n.mu.Unlock()
	return s.run(ctx)
}

// close ends the use of a session: no frame is queued in it any more.
func (n *NIC) close(s *session) {
	s.end()
	n.mu.Lock()
	n.session = nil
	s.queues[0].closed = true
	n.mu.Unlock()
	n.flush(s)
}

// Deliver queues a frame for the guest; the card keeps its memory. checked says
// that the IP, TCP and UDP checksums are known to be right, so that the guest need
// not look. queued is false if there is no room: Room of the network follows. A
// frame that the guest cannot have, since its driver is not up, the cable is out, or
// the frame is too long or not for it, is counted and dropped: queued is true.
func (n *NIC) Deliver(frame []byte, checked bool) (queued bool) {
	if len(frame) < ethernetHeader {
		n.stats.toGuestBad.Add(1)
		return true
	}
	n.mu.Lock()
	s := n.session
	if s == nil || !s.listening.Load() || !n.link || n.faults.NoLink {
		n.mu.Unlock()
		n.stats.toGuestDown.Add(1)
		return true
	}
	steering := s.steering.Load()
	q := steering.queueOf(frame)
	if q.closed {
		q = steering.queues[0]
	}
	if len(q.frames) >= n.opt.Queue {
		q.refused = true
		n.mu.Unlock()
		n.stats.toGuestRefused.Add(1)
		return false
	}
	q.frames = append(q.frames, queuedFrame{frame, checked})
	n.mu.Unlock()
	q.poke()
	return true
}

// next takes a frame off the queue.
func (q *queue) next() (f queuedFrame, ok bool) {
	n := q.s.nic
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(q.frames) == 0 {
		return f, false
	}
	f = q.frames[0]
	q.frames[0] = queuedFrame{}
	q.frames = q.frames[1:]
	return f, true
}

// tellRoom tells the network about room, if it asked and half of the queue is free.
func (n *NIC) tellRoom(q *queue) {
	n.mu.Lock()
	tell := q.refused && len(q.frames) <= n.opt.Queue/2
	if tell {
		q.refused = false
	}
	n.mu.Unlock()
	if tell && n.opt.Network != nil {
		n.opt.Network.Room()
	}
}

// flush drops what waits for a guest that does not listen any more.
func (n *NIC) flush(s *session) {
	for _, q := range s.steering.Load().queues {
		if q == nil {
			continue
		}
		n.mu.Lock()
		n.stats.toGuestDown.Add(uint64(len(q.frames)))
		q.frames = nil
		n.mu.Unlock()
		n.tellRoom(q)
	}
}

// SetLink plugs the cable in or out; the guest is told.
func (n *NIC) SetLink(up bool) {
	n.mu.Lock()
	changed := n.link != up
	n.link = up
	s := n.session
	n.mu.Unlock()
	if !changed {
		return
	}
	if s == nil {
		return
	}
	if !up {
		n.flush(s)
	}
	s.indicateLink(up)
}

// linkUp is the state of the cable as the guest is to see it.
func (n *NIC) linkUp() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link && !n.faults.NoLink
}

// Stats counts since the card was made. Frames "to" go to the guest.
type Stats struct {
	ToGuest, ToGuestBytes     uint64
	ToGuestTransfers          uint64 // VMBus packets with one or more frames
	ToGuestRefused            uint64 // no room: the network keeps the frame
	ToGuestDown               uint64 // dropped: no driver, no cable, or no room when a channel was closed
	ToGuestFiltered           uint64 // dropped by the guest's packet filter
	ToGuestBad                uint64 // dropped: too short or too long
	ToGuestRejected           uint64 // transfers that the guest completed with an error
	FromGuest, FromGuestBytes uint64
	FromGuestTransfers        uint64
	FromGuestBad              uint64 // dropped: malformed, or of another station
	FromGuestDown             uint64 // dropped: no cable, or no network
	Lost                      uint64 // either way, by Faults.Drop

	CheckedToGuest    uint64 // of them: the guest was told that checksums are right
	FinishedFromGuest uint64 // frames whose checksums the card filled in
	LargeFromGuest    uint64 // frames that the card cut, or gave on as they were (Options.Uncut)
}

type counters struct {
	toGuest, toGuestBytes, toGuestTransfers, toGuestRefused, toGuestDown, toGuestFiltered, toGuestBad, toGuestRejected,
	fromGuest, fromGuestBytes, fromGuestTransfers, fromGuestBad, fromGuestDown, lost, checkedToGuest, finishedFromGuest, largeFromGuest atomic.Uint64
}

// Stats returns the counters.
func (n *NIC) Stats() Stats {
	c := &n.stats
	return Stats{
		ToGuest: c.toGuest.Load(), ToGuestBytes: c.toGuestBytes.Load(), ToGuestTransfers: c.toGuestTransfers.Load(),
		ToGuestRefused: c.toGuestRefused.Load(), ToGuestDown: c.toGuestDown.Load(),
		ToGuestFiltered: c.toGuestFiltered.Load(), ToGuestBad: c.toGuestBad.Load(), ToGuestRejected: c.toGuestRejected.Load(),
		FromGuest: c.fromGuest.Load(), FromGuestBytes: c.fromGuestBytes.Load(), FromGuestTransfers: c.fromGuestTransfers.Load(),
		FromGuestBad: c.fromGuestBad.Load(), FromGuestDown: c.fromGuestDown.Load(), Lost: c.lost.Load(),
		CheckedToGuest: c.checkedToGuest.Load(), FinishedFromGuest: c.finishedFromGuest.Load(), LargeFromGuest: c.largeFromGuest.Load(),
	}
}

// ChannelStats counts frames by channel, since the card was made.
type ChannelStats struct{ ToGuest, FromGuest uint64 }

type channelCounters struct{ toGuest, fromGuest atomic.Uint64 }

// Channels returns the counters of each channel, the primary one first. What was cut
// counts once.
func (n *NIC) Channels() (all []ChannelStats) {
	for i := range n.channels {
		c := &n.channels[i]
		all = append(all, ChannelStats{c.toGuest.Load(), c.fromGuest.Load()})
	}
	return all
}
