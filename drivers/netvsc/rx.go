// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsc

import (
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// prefixSize is how much of a packet message is copied out of the receive
// buffer to be parsed: header and per-packet information. Hosts send some 100
// bytes of it.
const prefixSize = 512

// receiver belongs to the channel's goroutine.
type receiver struct {
	prefix   [prefixSize]byte
	complete []Done          // receive completions of this batch
	seen     map[string]bool // kinds of bad packets already logged
}

// Bodies of receive completions.
var (
	receiveDone   = nvsp.SendRNDISPacketComplete{Status: nvsp.StatusSuccess}.AppendTo(nil)
	receiveFailed = nvsp.SendRNDISPacketComplete{Status: nvsp.StatusFailure}.AppendTo(nil)
)

var (
	errVLAN     = errors.New("frame of a VLAN")
	errReceiver = errors.New("nobody to receive it")
)

// handle takes a batch of packets from the host. Slots of the receive buffer
// go back together at its end.
func (n *NIC) handle(batch []Packet) {
	for i := range batch {
		p := &batch[i]
		switch p.Kind {
		case TransferPages:
			body := receiveDone
			if !n.receiveTransfer(p) {
				body = receiveFailed
			}
			n.rx.complete = append(n.rx.complete, Done{p.Transaction, body})
		case Completion:
			n.completed(p)
		case InBand:
			n.inBand(p)
		}
	}
	if len(n.rx.complete) > 0 {
		n.ch.SendCompletions(n.rx.complete) // an error ends Serve too
	}
	n.rx.complete = n.rx.complete[:0]
	n.tx.tellRoom(n)
	if h := n.handlers.Load(); h != nil {
		h.idle()
	}
}

// bad counts a packet that breaks the protocol and logs the first of its kind.
func (n *NIC) bad(kind string, err error) {
	n.stats.hostErrors.Add(1)
	if !n.rx.seen[kind] {
		n.rx.seen[kind] = true
		n.log.Warn("bad packet from the host, dropped; more of this kind are only counted", "kind", kind, "err", err)
	}
}

// receiveTransfer takes the RNDIS messages that a transfer-page packet names.
func (n *NIC) receiveTransfer(p *Packet) bool {
	m, err := nvsp.DecodeSendRNDISPacket(p.Payload)
	if err != nil {
		n.bad("transfer", err)
		return false
	}
	mem := n.receive.Load()
	if mem == nil || p.SetID != receiveBufferID {
		n.bad("transfer", fmt.Errorf("buffer 0x%X is not the receive buffer", p.SetID))
		return false
	}
	buf, ok := mem.Bytes, true
	for _, r := range p.Ranges {
		if uint64(r.Offset)+uint64(r.Count) > uint64(len(buf)) {
			n.bad("range", fmt.Errorf("%d bytes at %d exceed the receive buffer of %d", r.Count, r.Offset, len(buf)))
			ok = false
			continue
		}
		shared := buf[r.Offset : r.Offset+r.Count]
		switch m.ChannelType {
		case nvsp.ChannelData:
			ok = n.receivePackets(shared) && ok
		case nvsp.ChannelControl:
			ok = n.receiveControl(shared) && ok
		default:
			n.bad("transfer", fmt.Errorf("channel type %d", m.ChannelType))
			ok = false
		}
	}
	return ok
}

// receivePackets takes one packet message after another. After a bad header
// the place of the next message is unknown and the rest is dropped.
func (n *NIC) receivePackets(shared []byte) bool {
	for len(shared) > 0 {
		k := copy(n.rx.prefix[:], shared)
		m, err := rndis.DecodePacketPrefix(n.rx.prefix[:k], len(shared))
		if err != nil {
			n.stats.rxDropped.Add(1)
			n.bad("packet", err)
			return false
		}
		n.receivePacket(m, shared, k)
		shared = shared[m.Length:]
	}
	return true
}

// receivePacket delivers the frame of a message whose first k bytes are in
// rx.prefix.
func (n *NIC) receivePacket(m rndis.Packet, shared []byte, k int) {
	start, end, err := m.DataRange()
	if err == nil && end-start < ethernetHeader {
		err = fmt.Errorf("frame of %d bytes", end-start)
	}
	if err != nil {
		n.stats.rxDropped.Add(1)
		n.bad("frame", err)
		return
	}
	checked, err := readPPIs(m, n.rx.prefix[:k])
	h := n.handlers.Load()
	if err == nil && h == nil {
		err = errReceiver
	}
	if err != nil {
		n.stats.rxDropped.Add(1)
		if !errors.Is(err, errVLAN) && !errors.Is(err, errReceiver) {
			n.bad("per-packet information", err)
		}
		return
	}
	n.stats.rxPackets.Add(1)
	n.stats.rxBytes.Add(uint64(end - start))
	h.receive(shared[start:end:end], checked)
}

// readPPIs reads the per-packet information out of prefix. checked: the host
// found the transport checksum right. Frames of a VLAN are for nobody here.
func readPPIs(m rndis.Packet, prefix []byte) (checked bool, err error) {
	area, err := m.PPIs(prefix)
	for len(area) > 0 && err == nil {
		var t rndis.PPIType
		var data []byte
		if t, data, area, err = rndis.NextPPI(area); err != nil {
			break
		}
		switch t {
		case rndis.PPIChecksum:
			v, e := rndis.PPI32(data)
			c := rndis.ChecksumRx(v)
			checked, err = c&(rndis.ChecksumRxTCPSucceeded|rndis.ChecksumRxUDPSucceeded) != 0, e
		case rndis.PPIVLAN:
			v, e := rndis.PPI32(data)
			if err = e; err == nil && rndis.VLAN(v).ID() != 0 {
				err = errVLAN
			}
		}
	}
	return checked && err == nil, err
}

// receiveControl takes an RNDIS control message.
func (n *NIC) receiveControl(shared []byte) bool {
	if len(shared) > maxControl {
		n.bad("control message", fmt.Errorf("%d bytes, at most %d are taken", len(shared), maxControl))
		return false
	}
	b := append([]byte(nil), shared...)
	h, err := rndis.DecodeHeader(b)
	if err == nil {
		err = n.control(h.Type, b[:h.Length])
	}
	if err != nil {
		n.bad("control message", err)
	}
	return err == nil
}

// control acts on one RNDIS control message, a private copy.
func (n *NIC) control(t rndis.Type, b []byte) error {
	switch t {
	case rndis.TypeInitializeComplete, rndis.TypeQueryComplete, rndis.TypeSetComplete, rndis.TypeKeepaliveComplete:
		// All have the request ID first; SetComplete and KeepaliveComplete are alike.
		if len(b) < rndis.SetCompleteSize {
			return fmt.Errorf("RNDIS completion: %w: %d bytes", rndis.ErrShort, len(b))
		}
		id := le32(b[rndis.HeaderSize:])
		if !finish(&n.calls, n.calls.answers, id, b) {
			return fmt.Errorf("RNDIS answer to request %d, which nobody made", id)
		}
	case rndis.TypeIndicateStatus:
		m, err := rndis.DecodeIndicateStatus(b)
		if err != nil {
			return err
		}
		n.indicated(m.Status)
	case rndis.TypeKeepalive:
		m, err := rndis.DecodeKeepalive(b)
		if err != nil {
			return err
		}
		go n.answerKeepalive(m.RequestID) // sending waits for this goroutine
	default:
		return fmt.Errorf("RNDIS message of type 0x%X", uint32(t))
	}
	return nil
}

// indicated acts on a status indication.
func (n *NIC) indicated(s rndis.Status) {
	switch s {
	case rndis.StatusMediaConnect:
		n.setLink(true)
	case rndis.StatusMediaDisconnect:
		n.setLink(false)
	case rndis.StatusNetworkChange: // live migration to another network: as if replugged
		n.setLink(false)
		n.setLink(true)
	case rndis.StatusOffloadCurrentConfig, rndis.StatusLinkSpeedChange:
	default:
		n.log.Debug("status indication", "status", s)
	}
}

// answerKeepalive tells the host that the driver lives.
func (n *NIC) answerKeepalive(id uint32) {
	n.calls.rndis.Lock()
	defer n.calls.rndis.Unlock()
	m := rndis.KeepaliveComplete{RequestID: id, Status: rndis.StatusSuccess}
	if err := n.sendControl(m.AppendTo(nil), "keepalive"); err != nil {
		n.log.Debug("keepalive", "err", err)
	}
}

// completed takes the completion of a packet of ours.
func (n *NIC) completed(p *Packet) {
	switch {
	case p.Transaction >= firstAnonymous:
	case p.Transaction >= firstTransfer:
		n.transferred(p)
	case !finish(&n.calls, n.calls.waiting, p.Transaction, p.Payload):
		n.bad("completion", fmt.Errorf("transaction 0x%X is not open", p.Transaction))
	}
}

// inBand takes an NVSP message outside the data path.
func (n *NIC) inBand(p *Packet) {
	t, err := nvsp.DecodeType(p.Payload)
	switch {
	case err != nil:
		n.bad("message", err)
	case t == nvsp.TypeSendVFAssociation, t == nvsp.TypeSendIndirectionTable:
		// No virtual function and no sub-channels are used here.
	default:
		n.bad("message", fmt.Errorf("NVSP message of type %d", t))
	}
	if p.WantsCompletion {
		n.rx.complete = append(n.rx.complete, Done{p.Transaction, nil})
	}
}
