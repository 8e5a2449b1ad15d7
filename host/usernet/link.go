// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet

import (
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// maxWait bounds how long a sender of data waits for room in the card's queue. TCP
// sends again later, UDP loses a datagram, which is counted.
const maxWait = 2 * time.Second

// gatewayMAC is the gateway's address: locally administered, "hvgo".
var gatewayMAC = [6]byte{0x02, 0x00, 'h', 'v', 'g', 'o'}

// link is the card as gVisor's link endpoint, seen from the gateway.
type link struct {
	n   *Network
	mtu uint32

	dispatcher atomic.Pointer[dispatcher]
	card       atomic.Pointer[Card]

	mu   sync.Mutex // guards room
	room chan struct{}
}

type dispatcher struct{ stack.NetworkDispatcher }

var _ stack.LinkEndpoint = (*link)(nil)

func newLink(n *Network, mtu int) *link {
	return &link{n: n, mtu: uint32(mtu), room: make(chan struct{})}
}

func (l *link) plug(c Card) { l.card.Store(&c) }

// Room is the card's word that it has room again.
func (n *Network) Room() {
	l := n.link
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.room)
	l.room = make(chan struct{})
}

// inject hands an IP or ARP packet of the guest's to the stack. frame is copied.
func (l *link) inject(protocol tcpip.NetworkProtocolNumber, frame []byte) {
	d := l.dispatcher.Load()
	if d == nil {
		return
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame)})
	defer pkt.DecRef()
	if !l.ParseHeader(pkt) {
		return
	}
	pkt.PktType = tcpip.PacketHost
	d.DeliverNetworkPacket(protocol, pkt)
}

// WritePackets implements stack.LinkWriter.
func (l *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for i, pkt := range pkts.AsSlice() {
		frame := make([]byte, 0, pkt.Size())
		for _, part := range pkt.AsSlices() {
			frame = append(frame, part...)
		}
		if !l.deliver(frame, mayWait(pkt)) {
			if i == 0 {
				return 0, &tcpip.ErrNoBufferSpace{}
			}
			return i, nil
		}
	}
	return pkts.Len(), nil
}

// deliver gives the card a frame. A sender that may wait does so while there is no
// room.
func (l *link) deliver(frame []byte, wait bool) bool {
	card := l.card.Load()
	if card == nil {
		l.n.stats.dropped.Add(1)
		return true
	}
	var timer *time.Timer
	for {
		l.mu.Lock()
		room := l.room // before Deliver: Room may come at once
		l.mu.Unlock()
		if (*card).Deliver(frame, true) {
			l.n.stats.toGuest.Add(1)
			return true
		}
		if !wait {
			l.n.stats.dropped.Add(1)
			return false
		}
		if timer == nil {
			timer = time.NewTimer(maxWait)
			defer timer.Stop()
			l.n.stats.waits.Add(1)
		}
		select {
		case <-room:
		case <-timer.C:
			wait = false
		case <-l.n.ctx.Done():
			wait = false
		}
	}
}

// mayWait tells whether pkt comes from a sender of data. Such packets are never
// written by the goroutine that brings the guest's frames, which must not wait: TCP
// sends data in goroutines of its own or the relay's, UDP in the relay's.
func mayWait(pkt *stack.PacketBuffer) bool {
	switch pkt.TransportProtocolNumber {
	case header.TCPProtocolNumber:
		return pkt.Data().Size() > 0
	case header.UDPProtocolNumber:
		return true
	}
	return false
}

// MTU implements stack.LinkEndpoint.
func (l *link) MTU() uint32 { return l.mtu }

// SetMTU implements stack.LinkEndpoint.
func (l *link) SetMTU(uint32) {}

// MaxHeaderLength implements stack.LinkEndpoint.
func (l *link) MaxHeaderLength() uint16 { return header.EthernetMinimumSize }

// LinkAddress implements stack.LinkEndpoint.
func (l *link) LinkAddress() tcpip.LinkAddress { return tcpip.LinkAddress(gatewayMAC[:]) }

// SetLinkAddress implements stack.LinkEndpoint.
func (l *link) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements stack.LinkEndpoint. Checksums of the guest's are checked.
func (l *link) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityResolutionRequired
}

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

// Wait implements stack.LinkEndpoint.
func (l *link) Wait() {}

// ARPHardwareType implements stack.LinkEndpoint.
func (l *link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// AddHeader implements stack.LinkEndpoint.
func (l *link) AddHeader(pkt *stack.PacketBuffer) {
	eth := header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize))
	eth.Encode(&header.EthernetFields{SrcAddr: l.LinkAddress(), DstAddr: pkt.EgressRoute.RemoteLinkAddress, Type: pkt.NetworkProtocolNumber})
}

// ParseHeader implements stack.LinkEndpoint.
func (l *link) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}

// Close implements stack.LinkEndpoint.
func (l *link) Close() {}

// SetOnCloseAction implements stack.LinkEndpoint.
func (l *link) SetOnCloseAction(func()) {}
