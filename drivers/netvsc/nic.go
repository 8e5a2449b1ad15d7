// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsc

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

const (
	pageSize       = 4096
	ethernetHeader = 14

	receiveBufferID = 0xCAFE
	sendBufferID    = 0

	// No more than this many receive-buffer bytes: hosts up to version 4 take
	// 15 MiB and refuse more.
	maxReceiveBuffer = 15 << 20
)

// Errors that callers decide on.
var (
	ErrClosed   = errors.New("netvsc: channel closed or rescinded")
	ErrTimeout  = errors.New("netvsc: no answer from the host")
	ErrRefused  = errors.New("netvsc: refused by the host")
	ErrProtocol = errors.New("netvsc: host breaks the protocol")
	ErrSize     = errors.New("netvsc: frame too long or empty")
)

// Options configure a NIC. The zero value is good for a small VM.
type Options struct {
	Log *slog.Logger // nil: slog.Default()

	ReceiveBuffer int // bytes, default 2 MiB
	SendBuffer    int // bytes, default 1 MiB
	MTU           int // bytes of IP packet wanted, default 1500
	DirectSlots   int // frames under way outside the send buffer, default 16

	Timeout time.Duration // for each answer of the host, default 10 s
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.ReceiveBuffer <= 0 {
		o.ReceiveBuffer = 2 << 20
	}
	o.ReceiveBuffer = min(o.ReceiveBuffer, maxReceiveBuffer)
	if o.SendBuffer <= 0 {
		o.SendBuffer = 1 << 20
	}
	if o.MTU <= 0 {
		o.MTU = 1500
	}
	o.MTU = min(max(o.MTU, 576), 9202) // 9216 with the Ethernet header is the host's limit
	if o.DirectSlots <= 0 {
		o.DirectSlots = 16
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	return o
}

// Stats counts what happened since Open.
type Stats struct {
	RxPackets, RxBytes uint64
	RxDropped          uint64 // bad, or nobody to receive it
	TxPackets, TxBytes uint64
	TxMessages         uint64 // transfers; each holds one or more packets
	TxDirect           uint64 // transfers outside the send buffer
	TxRefused          uint64 // transfers the host completed with an error
	HostErrors         uint64 // packets of the host's that break the protocol
}

// NIC is an initialised network card.
type NIC struct {
	ch   Channel
	o    Options
	log  *slog.Logger
	done chan struct{} // closed when the channel's goroutine has ended

	// What negotiation found; not written afterwards.
	version   nvsp.Version
	mac       [6]byte
	permanent [6]byte
	mtu       int           // bytes of IP packet
	offload   rndis.Offload // what is switched on

	receive  atomic.Pointer[Memory] // the receive buffer, nil before it is shared
	linkUp   atomic.Bool
	handlers atomic.Pointer[handlers]
	stats    counters

	calls calls
	tx    transmitter
	rx    receiver
}

// handlers are the consumer's functions.
type handlers struct {
	receive func(frame []byte, checked bool)
	idle    func()
	room    func()
	link    func(up bool)
}

type counters struct {
	rxPackets, rxBytes, rxDropped, txPackets, txBytes, txMessages, txDirect, txRefused, hostErrors atomic.Uint64
}

// Open negotiates with the host over ch, which must be open, and takes ch over:
// Close closes it, and so does a failing Open. Frames flow after Start.
func Open(ch Channel, o Options) (*NIC, error) {
	o = o.withDefaults()
	n := &NIC{ch: ch, o: o, log: o.Log, done: make(chan struct{})}
	n.calls.waiting = make(map[uint64]chan []byte)
	n.calls.answers = make(map[uint32]chan []byte)
	n.rx.seen = make(map[string]bool)
	n.tx.current = -1
	go n.serve()
	if err := n.negotiate(); err != nil {
		return nil, errors.Join(err, n.release())
	}
	n.log.Info("network card ready", "nvsp", n.version, "mac", macString(n.mac), "mtu", n.mtu, "link", n.LinkUp(),
		"sections", len(n.tx.sectionBusy), "checksum offload", n.TxChecksum())
	return n, nil
}

// MAC is the card's current Ethernet address.
func (n *NIC) MAC() [6]byte { return n.mac }

// PermanentMAC is the card's address as the host's administrator set it.
func (n *NIC) PermanentMAC() [6]byte { return n.permanent }

// MTU is the largest IP packet in bytes.
func (n *NIC) MTU() int { return n.mtu }

// LinkUp tells whether the virtual cable is plugged in.
func (n *NIC) LinkUp() bool { return n.linkUp.Load() }

// Version is the agreed protocol version.
func (n *NIC) Version() nvsp.Version { return n.version }

// TxChecksum tells whether Transmit may be asked for TCP and UDP checksums of
// IPv4 packets.
func (n *NIC) TxChecksum() bool {
	return n.offload.IPv4Tx.Has(rndis.CapTCP | rndis.CapTCPOptions | rndis.CapUDP)
}

// Start lets frames flow. All functions are called in the channel's goroutine
// and must not wait for this NIC.
//
// receive gets each frame. It lies in memory that the host can still write to:
// copy it, then look at the copy. It is the host's again when receive returns.
// checked says that the host found the TCP or UDP checksum right. idle ends a
// batch of receive calls. room follows a Transmit that found no room, once there
// is some or the card is gone. link follows each change of the cable, or of the
// network behind it.
func (n *NIC) Start(receive func(frame []byte, checked bool), idle, room func(), link func(up bool)) error {
	n.handlers.Store(&handlers{receive, idle, room, link})
	return n.setPacketFilter(rndis.FilterDirected | rndis.FilterAllMulticast | rndis.FilterBroadcast)
}

// Stats returns the counters.
func (n *NIC) Stats() Stats {
	c := &n.stats
	return Stats{
		RxPackets: c.rxPackets.Load(), RxBytes: c.rxBytes.Load(), RxDropped: c.rxDropped.Load(),
		TxPackets: c.txPackets.Load(), TxBytes: c.txBytes.Load(), TxMessages: c.txMessages.Load(),
		TxDirect: c.txDirect.Load(), TxRefused: c.txRefused.Load(), HostErrors: c.hostErrors.Load(),
	}
}

// Done is closed when the card is gone: after Close, or when the host took it.
func (n *NIC) Done() <-chan struct{} { return n.done }

// Close halts RNDIS, takes the buffers back from the host and closes the
// channel. It is safe to call when the host took the card away.
func (n *NIC) Close() error {
	n.tx.close()
	n.halt()
	return n.release()
}

// release closes the channel and frees its memory once nobody here uses it.
func (n *NIC) release() error {
	err := n.ch.Close()
	<-n.done
	n.calls.setControl(nil)
	return errors.Join(err, n.ch.Free())
}

// serve runs the channel's goroutine.
func (n *NIC) serve() {
	err := n.ch.Serve(n.handle)
	n.tx.close()
	n.calls.close()
	n.linkUp.Store(false)
	if err != nil {
		n.log.Warn("network card gone", "err", err)
	}
	close(n.done)
	if h := n.handlers.Load(); h != nil {
		h.link(false)
		h.room()
	}
}

// setLink records the state of the cable and tells the consumer.
func (n *NIC) setLink(up bool) {
	n.linkUp.Store(up)
	if h := n.handlers.Load(); h != nil {
		h.link(up)
	}
}

func macString(m [6]byte) string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 17)
	for i, c := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hex[c>>4], hex[c&15])
	}
	return string(b)
}
