// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsc

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// maxSections bounds the sections under way, and with them the packets in the
// host-bound ring: 512 of them take less than half of a 64 KiB ring, so the
// ring cannot be full with a host that reads it.
const maxSections = 512

// maxBatch bounds the frames in one transfer, whatever the host would take.
const maxBatch = 64

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// transmitter holds the frames on their way out.
//
//	free section -> current (being filled) -> sent -> completed: free
//	free direct slot ----------------------> sent -> completed: free
type transmitter struct {
	mu     sync.Mutex // guards all below
	closed bool

	buffer      []byte // the send buffer
	sectionSize int    // bytes
	sectionBusy []bool // sent, not completed
	free        []int  // sections neither sent nor current

	current   int // section being filled, -1: none
	used      int // bytes in it
	frames    int // in it
	last      int // offset of its last message
	maxFrames int // per transfer
	align     int // messages start at multiples of this

	direct     []*Memory // one frame each
	directBusy []bool
	directFree []int

	wantRoom bool     // a Transmit found no room since the last tellRoom
	hasRoom  bool     // a completion came since
	msg      [40]byte // NVSP message being sent
}

// prepareTransmit sets the queue up as the host's limits say.
func (n *NIC) prepareTransmit(sectionSize, sections int, limits rndis.InitializeComplete) error {
	q := &n.tx
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sectionSize = int(min(uint64(sectionSize), uint64(limits.MaxTransferSize)))
	q.sectionBusy = make([]bool, sections)
	for i := sections - 1; i >= 0; i-- {
		q.free = append(q.free, i)
	}
	q.maxFrames = int(min(max(limits.MaxPacketsPerMessage, 1), maxBatch))
	q.align = 8
	if limits.AlignmentFactor <= 7 {
		q.align = max(1<<limits.AlignmentFactor, 4)
	} else {
		q.maxFrames = 1
	}
	// Sections start at multiples of the host's section size, not of the
	// smaller size used.
	q.buffer = q.buffer[:sections*sectionSize]
	pages := (rndis.PacketSize + rndis.PPI32Size + ethernetHeader + n.mtu + pageSize - 1) / pageSize
	for range n.o.DirectSlots {
		m, err := n.ch.Lend(pages)
		if err != nil {
			return fmt.Errorf("direct slots: %w", err)
		}
		q.directFree = append(q.directFree, len(q.direct))
		q.direct = append(q.direct, m)
	}
	q.directBusy = make([]bool, len(q.direct))
	return nil
}

// Transmit queues one Ethernet frame given in parts, which are copied. If
// csumStart is not 0 the host fills in the TCP (csumOffset 16) or UDP (6)
// checksum: csumStart is the offset of the transport header in the frame, and
// the field must hold the sum of the pseudo header. queued is false when there
// is no room: room, see Start, is called when there is. Frames go out at Flush,
// or earlier.
func (n *NIC) Transmit(frame [][]byte, csumStart, csumOffset int) (queued bool, err error) {
	size := 0
	for _, p := range frame {
		size += len(p)
	}
	if size < ethernetHeader || size > n.mtu+ethernetHeader {
		return false, ErrSize
	}
	need := rndis.PacketSize + size
	if csumStart > 0 {
		need += rndis.PPI32Size
	}
	q := &n.tx
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false, ErrClosed
	}
	if b, err := q.reserve(n, need); err != nil {
		return false, err
	} else if b != nil {
		appendFrame(b, need, size, frame, csumStart, csumOffset)
		n.countFrame(size)
		return true, nil
	}
	if err := q.flush(n); err != nil { // keeps the order
		return false, err
	}
	if len(q.directFree) == 0 {
		q.wantRoom = true
		return false, nil
	}
	slot := q.directFree[len(q.directFree)-1]
	m := q.direct[slot]
	appendFrame(m.Bytes[:0:need], need, size, frame, csumStart, csumOffset)
	id := uint64(firstTransfer + len(q.sectionBusy) + slot)
	head := nvsp.SendRNDISPacket{ChannelType: nvsp.ChannelData, SectionIndex: nvsp.NoSection}
	// Busy before it is sent: the completion may overtake this line.
	q.directFree, q.directBusy[slot] = q.directFree[:len(q.directFree)-1], true
	if err := n.ch.SendGPADirect(id, q.message(n, head), m.PFN[:(need+pageSize-1)/pageSize], need); err != nil {
		return false, fmt.Errorf("%w: %w", ErrClosed, err)
	}
	n.stats.txMessages.Add(1)
	n.stats.txDirect.Add(1)
	n.countFrame(size)
	return true, nil
}

// Flush sends the frames that Transmit queued.
func (n *NIC) Flush() error {
	n.tx.mu.Lock()
	defer n.tx.mu.Unlock()
	return n.tx.flush(n)
}

func (n *NIC) countFrame(size int) {
	n.stats.txPackets.Add(1)
	n.stats.txBytes.Add(uint64(size))
}

// reserve returns an empty slice with room for a message of need bytes in the
// current section or a new one; nil: there is none.
func (q *transmitter) reserve(n *NIC, need int) ([]byte, error) {
	if need > q.sectionSize {
		return nil, nil
	}
	if q.current >= 0 {
		start := (q.used + q.align - 1) / q.align * q.align
		if q.frames < q.maxFrames && start+need <= q.sectionSize {
			section := q.section(q.current)
			// The message before ends where this one starts.
			binary.LittleEndian.PutUint32(section[q.last+4:], uint32(start-q.last))
			clear(section[q.used:start])
			q.last, q.used, q.frames = start, start+need, q.frames+1
			return section[start : start : start+need], nil
		}
		if err := q.flush(n); err != nil {
			return nil, err
		}
	}
	if len(q.free) == 0 {
		return nil, nil
	}
	q.current = q.free[len(q.free)-1]
	q.free = q.free[:len(q.free)-1]
	q.last, q.used, q.frames = 0, need, 1
	return q.section(q.current)[0:0:need], nil
}

// section returns the memory of section i.
func (q *transmitter) section(i int) []byte {
	stride := len(q.buffer) / len(q.sectionBusy)
	return q.buffer[i*stride : i*stride+q.sectionSize]
}

// appendFrame writes a packet message of need bytes into b, which has just
// that capacity.
func appendFrame(b []byte, need, size int, frame [][]byte, csumStart, csumOffset int) {
	m := rndis.Packet{Length: uint32(need), DataOffset: rndis.PacketSize - rndis.HeaderSize, DataLength: uint32(size)}
	if csumStart > 0 {
		m.PPIOffset, m.PPILength = m.DataOffset, rndis.PPI32Size
		m.DataOffset += rndis.PPI32Size
	}
	b = m.AppendTo(b)
	if csumStart > 0 {
		c := (rndis.ChecksumTxIPv4 | rndis.ChecksumTxUDP).WithOffset(csumStart)
		if csumOffset == 16 {
			c = (rndis.ChecksumTxIPv4 | rndis.ChecksumTxTCP).WithOffset(csumStart)
		}
		b = rndis.AppendPPI32(b, rndis.PPIChecksum, uint32(c))
	}
	for _, p := range frame {
		b = append(b, p...)
	}
}

// message encodes m, padded to the version's size, into the queue's own memory.
func (q *transmitter) message(n *NIC, m nvsp.SendRNDISPacket) []byte {
	b := q.msg[:n.version.MessageSize()]
	clear(b[len(m.AppendTo(b[:0])):])
	return b
}

// flush sends the current section, if any.
func (q *transmitter) flush(n *NIC) error {
	if q.closed {
		return ErrClosed
	}
	i := q.current
	if i < 0 {
		return nil
	}
	q.current = -1
	m := nvsp.SendRNDISPacket{ChannelType: nvsp.ChannelData, SectionIndex: uint32(i), SectionSize: uint32(q.used)}
	q.sectionBusy[i] = true
	if err := n.ch.SendInBand(firstTransfer+uint64(i), q.message(n, m), true); err != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	n.stats.txMessages.Add(1)
	return nil
}

// transferred takes the completion of a transfer and frees its memory.
func (n *NIC) transferred(p *Packet) {
	m, err := nvsp.DecodeSendRNDISPacketComplete(p.Payload)
	if err != nil {
		n.bad("transfer completion", err) // the memory is free all the same
	} else if m.Status != nvsp.StatusSuccess {
		n.stats.txRefused.Add(1)
		n.bad("refused transfer", fmt.Errorf("%v", m.Status))
	}
	if !n.tx.release(p.Transaction - firstTransfer) {
		n.bad("completion", fmt.Errorf("transaction 0x%X is not open", p.Transaction))
	}
}

// release frees section or direct slot number i; false: it is not under way.
func (q *transmitter) release(i uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	sections := uint64(len(q.sectionBusy))
	switch {
	case i < sections && q.sectionBusy[i]:
		q.sectionBusy[i] = false
		q.free = append(q.free, int(i))
	case i >= sections && i-sections < uint64(len(q.directBusy)) && q.directBusy[i-sections]:
		q.directBusy[i-sections] = false
		q.directFree = append(q.directFree, int(i-sections))
	default:
		return false
	}
	q.hasRoom = true
	return true
}

// tellRoom calls room if a Transmit waits for it and there is some now.
func (q *transmitter) tellRoom(n *NIC) {
	q.mu.Lock()
	tell := q.wantRoom && q.hasRoom
	q.hasRoom = false
	if tell {
		q.wantRoom = false
	}
	q.mu.Unlock()
	if h := n.handlers.Load(); tell && h != nil {
		h.room()
	}
}

// close fails all later calls.
func (q *transmitter) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
}
