// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	// queueSoft is the number of waiting packets from which on a sender of data
	// waits. Packets that the receiving goroutine sends (ARP and ICMP answers,
	// resets) never wait, since that goroutine makes room; they are refused from
	// queueHard on.
	queueSoft = 256
	queueHard = 2048

	// A sender does not wait longer than this: a host that stopped reading must
	// not hold the stack for ever. Then it gets ENOBUFS, and TCP sends again.
	maxTransmitWait = 2 * time.Second
)

// link is a NIC as gVisor's link endpoint.
//
//	WritePackets -> queue empty and card has room -> card
//	             -> queue (bounded, senders wait) -> room -> card
type link struct {
	nic  NIC
	log  *slog.Logger
	mac  tcpip.LinkAddress
	mtu  atomic.Uint32
	caps stack.LinkEndpointCapabilities

	dispatcher atomic.Pointer[dispatcher]
	tap        atomic.Pointer[tap] // sees DHCP replies before the stack
	checked    atomic.Bool         // the frame being delivered needs no check
	changed    func(up bool)       // told about the cable

	mu      sync.Mutex            // guards all below
	queue   []*stack.PacketBuffer // waiting for the card, each with a reference
	drained chan struct{}         // closed when the queue is below queueSoft again; nil: nobody waits
	parts   [][]byte              // of the frame being sent

	stats linkStats
}

type linkStats struct {
	waits, refused, lost, malformed atomic.Uint64
}

type dispatcher struct{ stack.NetworkDispatcher }

// tap receives the UDP payloads sent to port DHCP clients listen on.
type tap func(payload []byte)

var _ stack.LinkEndpoint = (*link)(nil)

func newLink(nic NIC, log *slog.Logger, changed func(up bool)) *link {
	mac := nic.MAC()
	l := &link{nic: nic, log: log, mac: tcpip.LinkAddress(mac[:]), changed: changed, caps: stack.CapabilityResolutionRequired}
	l.mtu.Store(uint32(nic.MTU()))
	if nic.TxChecksum() {
		l.caps |= stack.CapabilityTXChecksumOffload
	}
	return l
}

// start lets frames flow; the stack must have attached the link.
func (l *link) start() error { return l.nic.Start(l.receive, func() {}, l.room, l.changed) }

// receive takes a frame from the card.
func (l *link) receive(frame []byte, checked bool) {
	d := l.dispatcher.Load()
	if d == nil || len(frame) < header.EthernetMinimumSize {
		l.stats.malformed.Add(1)
		return
	}
	// The one copy; from here on nobody else writes to it.
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(buffer.NewViewWithData(frame))})
	defer pkt.DecRef()
	if !l.ParseHeader(pkt) {
		l.stats.malformed.Add(1)
		return
	}
	eth := header.Ethernet(pkt.LinkHeader().Slice())
	switch dst := eth.DestinationAddress(); {
	case dst == l.mac:
		pkt.PktType = tcpip.PacketHost
	case dst == header.EthernetBroadcastAddress:
		pkt.PktType = tcpip.PacketBroadcast
	case header.IsMulticastEthernetAddress(dst):
		pkt.PktType = tcpip.PacketMulticast
	default:
		return // flooded by the switch, for another station
	}
	if t := l.tap.Load(); t != nil && eth.Type() == header.IPv4ProtocolNumber {
		if payload := dhcpReply(pkt); payload != nil {
			(*t)(payload)
			return
		}
	}
	l.checked.Store(checked)
	d.DeliverNetworkPacket(eth.Type(), pkt)
	l.checked.Store(false)
}

// Capabilities implements stack.LinkEndpoint. The stack asks for it once per
// received packet, in the goroutine that delivers it, so the answer can say
// whether this packet's checksums were verified.
func (l *link) Capabilities() stack.LinkEndpointCapabilities {
	if l.checked.Load() {
		return l.caps | stack.CapabilityRXChecksumOffload
	}
	return l.caps
}

// WritePackets implements stack.LinkWriter. It returns how many packets were
// taken, by the card or by the queue.
func (l *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, pkt := range pkts.AsSlice() {
		if err := l.write(pkt); err != nil {
			l.stats.refused.Add(1)
			if n == 0 {
				return 0, err
			}
			break
		}
		n++
	}
	l.nic.Flush() // an error is the next Transmit's, too
	return n, nil
}

// write hands one packet to the card or the queue; mu is held.
func (l *link) write(pkt *stack.PacketBuffer) tcpip.Error {
	for waited := false; ; waited = true {
		if len(l.queue) == 0 {
			queued, err := l.transmit(pkt)
			if err != nil {
				return &tcpip.ErrNetworkUnreachable{}
			}
			if queued {
				return nil
			}
		}
		if len(l.queue) < queueSoft || !mayWait(pkt) {
			break
		}
		if waited {
			return &tcpip.ErrNoBufferSpace{}
		}
		l.wait()
	}
	if len(l.queue) >= queueHard {
		return &tcpip.ErrNoBufferSpace{}
	}
	// The card said that it has no room now, so it will call room.
	l.queue = append(l.queue, pkt.IncRef())
	return nil
}

// mayWait tells whether pkt comes from a sender of data. Such packets are never
// written by the goroutine that receives: UDP sends in the caller's, TCP in the
// caller's or one of its own.
func mayWait(pkt *stack.PacketBuffer) bool {
	switch pkt.TransportProtocolNumber {
	case header.TCPProtocolNumber:
		return pkt.Data().Size() > 0
	case header.UDPProtocolNumber:
		return true
	}
	return false
}

// wait sleeps until the queue has room, or for maxTransmitWait; mu is held.
func (l *link) wait() {
	l.stats.waits.Add(1)
	timer := time.NewTimer(maxTransmitWait)
	defer timer.Stop()
	for len(l.queue) >= queueSoft {
		if l.drained == nil {
			l.drained = make(chan struct{})
		}
		c := l.drained
		l.mu.Unlock()
		expired := false
		select {
		case <-c:
		case <-timer.C:
			expired = true
		}
		l.mu.Lock()
		if expired {
			return
		}
	}
}

// room sends from the queue what the card takes.
func (l *link) room() {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := 0
	for _, pkt := range l.queue {
		queued, err := l.transmit(pkt)
		if err != nil {
			l.stats.lost.Add(1) // the card is gone
		} else if !queued {
			break
		}
		pkt.DecRef()
		sent++
	}
	l.nic.Flush()
	rest := copy(l.queue, l.queue[sent:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	if rest < queueSoft && l.drained != nil {
		close(l.drained)
		l.drained = nil
	}
}

// transmit hands one packet to the card; mu is held.
func (l *link) transmit(pkt *stack.PacketBuffer) (bool, error) {
	csumStart, csumOffset := 0, 0
	if l.caps&stack.CapabilityTXChecksumOffload != 0 {
		csumStart, csumOffset = prepareChecksum(pkt)
	}
	// The views hold all headers, the link header first, and the payload.
	views, offset := pkt.AsViewList()
	l.parts = l.parts[:0]
	for v := views.Front(); v != nil; v = v.Next() {
		if b := v.AsSlice(); offset < len(b) {
			l.parts = append(l.parts, b[offset:])
			offset = 0
		} else {
			offset -= len(b)
		}
	}
	queued, err := l.nic.Transmit(l.parts, csumStart, csumOffset)
	clear(l.parts)
	return queued, err
}

// prepareChecksum readies the transport checksum of a packet for the card: with
// offload, the stack leaves the field 0, and the card wants the sum of the
// pseudo header in it. The result is where the card finds it, 0 for none.
func prepareChecksum(pkt *stack.PacketBuffer) (start, offset int) {
	if pkt.NetworkProtocolNumber != header.IPv4ProtocolNumber {
		return 0, 0
	}
	ip := header.IPv4(pkt.NetworkHeader().Slice())
	transport := pkt.TransportHeader().Slice()
	if len(ip) < header.IPv4MinimumSize || ip.More() || ip.FragmentOffset() != 0 {
		return 0, 0 // of a fragmented UDP datagram 0 means: no checksum
	}
	start = len(pkt.LinkHeader().Slice()) + len(ip)
	length := uint16(len(transport) + pkt.Data().Size())
	sum := header.PseudoHeaderChecksum(ip.TransportProtocol(), ip.SourceAddress(), ip.DestinationAddress(), length)
	switch p := ip.TransportProtocol(); {
	case p == header.TCPProtocolNumber && len(transport) >= header.TCPMinimumSize:
		header.TCP(transport).SetChecksum(sum)
		return start, header.TCPChecksumOffset
	case p == header.UDPProtocolNumber && len(transport) >= header.UDPMinimumSize:
		header.UDP(transport).SetChecksum(sum)
		return start, udpChecksumOffset
	}
	return 0, 0
}

const udpChecksumOffset = 6

// MTU implements stack.LinkEndpoint.
func (l *link) MTU() uint32 { return l.mtu.Load() }

// SetMTU implements stack.LinkEndpoint. The card's own MTU is the upper limit.
func (l *link) SetMTU(mtu uint32) {
	l.mtu.Store(min(max(mtu, header.IPv4MinimumMTU), uint32(l.nic.MTU())))
}

// MaxHeaderLength implements stack.LinkEndpoint.
func (l *link) MaxHeaderLength() uint16 { return header.EthernetMinimumSize }

// LinkAddress implements stack.LinkEndpoint.
func (l *link) LinkAddress() tcpip.LinkAddress { return l.mac }

// SetLinkAddress implements stack.LinkEndpoint. The card keeps its address:
// hosts drop frames from any other.
func (l *link) SetLinkAddress(tcpip.LinkAddress) {}

// Attach implements stack.LinkEndpoint.
func (l *link) Attach(d stack.NetworkDispatcher) {
	if d == nil {
		l.dispatcher.Store(nil)
		return
	}
	l.dispatcher.Store(&dispatcher{d})
}

// IsAttached implements stack.LinkEndpoint.
func (l *link) IsAttached() bool { return l.dispatcher.Load() != nil }

// Wait implements stack.LinkEndpoint. The card's goroutine is the card's.
func (l *link) Wait() {}

// ARPHardwareType implements stack.LinkEndpoint.
func (l *link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// AddHeader implements stack.LinkEndpoint.
func (l *link) AddHeader(pkt *stack.PacketBuffer) {
	eth := header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize))
	eth.Encode(&header.EthernetFields{SrcAddr: l.mac, DstAddr: pkt.EgressRoute.RemoteLinkAddress, Type: pkt.NetworkProtocolNumber})
}

// ParseHeader implements stack.LinkEndpoint.
func (l *link) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}

// Close implements stack.LinkEndpoint.
func (l *link) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, pkt := range l.queue {
		pkt.DecRef()
	}
	l.queue = nil
}

// SetOnCloseAction implements stack.LinkEndpoint.
func (l *link) SetOnCloseAction(func()) {}
