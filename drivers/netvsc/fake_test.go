// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// fakeHost is a Channel with a small, strict NetVSP behind it. Its fields are
// set before Open; hooks let a test misbehave.
type fakeHost struct {
	version     nvsp.Version // the only one taken
	sectionSize int
	maxPackets  uint32
	alignment   uint32
	offload     *rndis.Offload
	sections    []nvsp.Section // nil: one of 1806-byte slots
	refuse      map[rndis.OID]bool
	holdTx      bool // do not complete transfers
	mute        bool // do not answer at all
	reply       func(id uint64, reply []byte) []byte
	mac         [6]byte            // current address
	onFrame     func(frame []byte) // gets what the guest sends, instead of frames; h.mu is held

	mu       sync.Mutex
	cond     sync.Cond
	queue    []Packet
	closed   bool
	freed    bool
	gpadls   map[uint32]*Memory
	byPFN    map[uint64]*Memory
	recv     *Memory
	send     *Memory
	order    []string // messages as they came
	mtu      uint32
	params   rndis.OffloadParameters
	filter   uint32
	frames   [][]byte // sent by the guest
	csums    []rndis.ChecksumTx
	messages int // transfers
	direct   int
	held     []uint64 // transfers not completed
	returned []uint64 // receive completions
	nextSlot int
	errs     []error // where the guest breaks the protocol
}

func newFakeHost() *fakeHost {
	h := &fakeHost{mac: [6]byte{2, 0x15, 0x5D, 1, 2, 3}, version: nvsp.Version61, sectionSize: 6144, maxPackets: 8, alignment: 3,
		gpadls: make(map[uint32]*Memory), byPFN: make(map[uint64]*Memory), refuse: make(map[rndis.OID]bool)}
	h.cond.L = &h.mu
	return h
}

var errFakeClosed = errors.New("fake: closed")

func (h *fakeHost) Share(n int) (*Memory, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &Memory{Bytes: make([]byte, n*pageSize), GPADL: uint32(0x100 + len(h.gpadls))}
	for i := range n {
		m.PFN = append(m.PFN, uint64(m.GPADL)<<20+uint64(i))
	}
	h.gpadls[m.GPADL] = m
	h.byPFN[m.PFN[0]] = m
	return m, nil
}

func (h *fakeHost) Lend(n int) (*Memory, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &Memory{Bytes: make([]byte, n*pageSize)}
	for i := range n {
		m.PFN = append(m.PFN, 1<<40+uint64(len(h.byPFN))<<20+uint64(i))
	}
	h.byPFN[m.PFN[0]] = m
	return m, nil
}

func (h *fakeHost) Close() error { h.rescind(); return nil }

// Free spoils the memory, so that a later use shows.
func (h *fakeHost) Free() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.byPFN { // all of it: what is shared has page numbers too
		m.Bytes = nil
	}
	h.freed = true
	return nil
}

func (h *fakeHost) rescind() {
	h.mu.Lock()
	h.closed = true
	h.cond.Broadcast()
	h.mu.Unlock()
}

func (h *fakeHost) Serve(handle func([]Packet)) error {
	for {
		h.mu.Lock()
		for len(h.queue) == 0 && !h.closed {
			h.cond.Wait()
		}
		if h.closed {
			h.mu.Unlock()
			return nil
		}
		batch := h.queue
		h.queue = nil
		h.mu.Unlock()
		handle(batch)
	}
}

// push queues a packet for the guest; mu is held.
func (h *fakeHost) push(p Packet) {
	h.queue = append(h.queue, p)
	h.cond.Broadcast()
}

func (h *fakeHost) breach(format string, args ...any) {
	h.errs = append(h.errs, fmt.Errorf(format, args...))
}

// complete answers transaction id; mu is held.
func (h *fakeHost) complete(id uint64, body []byte) {
	if h.mute {
		return
	}
	if h.reply != nil {
		body = h.reply(id, body)
	}
	h.push(Packet{Kind: Completion, Transaction: id, Payload: slices.Clone(body)})
}

func (h *fakeHost) SendCompletions(done []Done) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errFakeClosed
	}
	for _, d := range done {
		if len(d.Payload) > 0 {
			if _, err := nvsp.DecodeSendRNDISPacketComplete(d.Payload); err != nil {
				h.breach("completion: %v", err)
			}
		}
		h.returned = append(h.returned, d.Transaction)
	}
	return nil
}

func (h *fakeHost) SendInBand(id uint64, payload []byte, completion bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errFakeClosed
	}
	t, err := nvsp.DecodeType(payload)
	if err != nil {
		h.breach("%v", err)
		return nil
	}
	if t != nvsp.TypeInit && len(payload) != h.version.MessageSize() {
		h.breach("message %d of %d bytes", t, len(payload))
	}
	switch t {
	case nvsp.TypeInit:
		m, _ := nvsp.DecodeInit(payload)
		if m.Version != m.Version2 {
			h.breach("init %v, %v", m.Version, m.Version2)
		}
		c := nvsp.InitComplete{Negotiated: 0xFFFFFFFF, MaxMDLChain: 34}
		if m.Version == h.version {
			c.Status = nvsp.StatusSuccess
		}
		h.complete(id, c.AppendTo(nil))
		return nil
	case nvsp.TypeSendNDISConfig:
		m, _ := nvsp.DecodeSendNDISConfig(payload)
		h.order, h.mtu = append(h.order, "config"), m.MTU
	case nvsp.TypeSendNDISVersion:
		h.order = append(h.order, "version")
	case nvsp.TypeSendReceiveBuffer:
		h.order = append(h.order, "receive")
		m, _ := nvsp.DecodeSharedBuffer(payload, t)
		if h.recv = h.gpadls[m.GPADL]; h.recv == nil || m.ID != receiveBufferID {
			h.breach("receive buffer %+v", m)
			return nil
		}
		s := h.sections
		if s == nil {
			n := uint32(len(h.recv.Bytes) / 1806)
			s = []nvsp.Section{{Offset: 0, SlotSize: 1806, Slots: n, End: n * 1806}}
		}
		h.complete(id, nvsp.SendReceiveBufferComplete{Status: nvsp.StatusSuccess, Sections: s}.AppendTo(nil))
	case nvsp.TypeSendSendBuffer:
		h.order = append(h.order, "send")
		m, _ := nvsp.DecodeSharedBuffer(payload, t)
		if h.send = h.gpadls[m.GPADL]; h.send == nil {
			h.breach("send buffer %+v", m)
			return nil
		}
		h.complete(id, nvsp.SendSendBufferComplete{Status: nvsp.StatusSuccess, SectionSize: uint32(h.sectionSize)}.AppendTo(nil))
	case nvsp.TypeSendRNDISPacket:
		m, _ := nvsp.DecodeSendRNDISPacket(payload)
		start := int(m.SectionIndex) * h.sectionSize
		if m.SectionIndex == nvsp.NoSection || start+int(m.SectionSize) > len(h.send.Bytes) || !completion {
			h.breach("section %+v", m)
			return nil
		}
		h.transfer(id, m.ChannelType, h.send.Bytes[start:start+int(m.SectionSize)])
	case nvsp.TypeRevokeReceiveBuffer, nvsp.TypeRevokeSendBuffer:
		h.order = append(h.order, "revoke")
	default:
		h.breach("message %d", t)
	}
	return nil
}

func (h *fakeHost) SendGPADirect(id uint64, payload []byte, pfns []uint64, size int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errFakeClosed
	}
	m, err := nvsp.DecodeSendRNDISPacket(payload)
	mem := h.byPFN[pfns[0]]
	if err != nil || mem == nil || m.SectionIndex != nvsp.NoSection || (size+pageSize-1)/pageSize != len(pfns) {
		h.breach("GPA-direct %+v, %v", m, err)
		return nil
	}
	if m.ChannelType == nvsp.ChannelData {
		h.direct++
	}
	h.transfer(id, m.ChannelType, mem.Bytes[:size])
	return nil
}

// transfer takes RNDIS messages from the guest; mu is held.
func (h *fakeHost) transfer(id uint64, channel uint32, b []byte) {
	b = slices.Clone(b)
	if channel == nvsp.ChannelControl {
		h.complete(id, receiveDone)
		h.control(b)
		return
	}
	h.messages++
	count := uint32(0)
	for rest := b; len(rest) > 0; count++ {
		if (len(b)-len(rest))%(1<<h.alignment) != 0 {
			h.breach("packet message at %d", len(b)-len(rest))
		}
		_, msg, next, err := rndis.Next(rest)
		if err != nil {
			h.breach("transfer: %v", err)
			break
		}
		m, err := rndis.DecodePacket(msg)
		data, err2 := m.Data(msg)
		ppis, err3 := m.PPIs(msg)
		if err := errors.Join(err, err2, err3); err != nil {
			h.breach("packet: %v", err)
			break
		}
		c := rndis.ChecksumTx(0)
		if len(ppis) > 0 {
			_, d, _, _ := rndis.NextPPI(ppis)
			v, _ := rndis.PPI32(d)
			c = rndis.ChecksumTx(v)
		}
		if h.onFrame != nil {
			h.onFrame(slices.Clone(data))
		} else {
			h.frames, h.csums = append(h.frames, slices.Clone(data)), append(h.csums, c)
		}
		rest = next
	}
	if count > h.maxPackets {
		h.breach("%d packets in a transfer", count)
	}
	if h.holdTx {
		h.held = append(h.held, id)
		return
	}
	h.complete(id, receiveDone)
}

func (h *fakeHost) releaseAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range h.held {
		h.complete(id, receiveDone)
	}
	h.held = nil
}

// control answers an RNDIS control message; mu is held.
func (h *fakeHost) control(b []byte) {
	hd, err := rndis.DecodeHeader(b)
	if err != nil || int(hd.Length) != len(b) {
		h.breach("control: %v", err)
		return
	}
	switch hd.Type {
	case rndis.TypeInitialize:
		h.order = append(h.order, "rndis")
		m, _ := rndis.DecodeInitialize(b)
		h.answer(rndis.InitializeComplete{RequestID: m.RequestID, Major: 1, DeviceFlags: 1, MaxPacketsPerMessage: h.maxPackets,
			MaxTransferSize: 0xEFFFFFFF, AlignmentFactor: h.alignment}.AppendTo(nil))
	case rndis.TypeQuery:
		m, _ := rndis.DecodeRequest(b, hd.Type)
		status, info := rndis.StatusSuccess, []byte(nil)
		switch {
		case h.refuse[m.OID]:
			status = rndis.StatusNotSupported
		case m.OID == rndis.OID8023PermanentAddress:
			info = []byte{0, 0x15, 0x5D, 1, 2, 3}
		case m.OID == rndis.OID8023CurrentAddress:
			info = h.mac[:]
		case m.OID == rndis.OIDGenMaximumFrameSize:
			info = binary.LittleEndian.AppendUint32(nil, h.mtu-14)
		case m.OID == rndis.OIDGenMediaConnectStatus:
			info = make([]byte, 4)
		case m.OID == rndis.OIDTCPOffloadHardwareCapabilities && h.offload != nil:
			info = h.offload.AppendTo(nil)
		default:
			status = rndis.StatusNotSupported
		}
		h.answer(rndis.AppendQueryComplete(nil, m.RequestID, status, info))
	case rndis.TypeSet:
		m, _ := rndis.DecodeRequest(b, hd.Type)
		info, err := m.Info(b)
		status := rndis.StatusSuccess
		switch {
		case err != nil || h.refuse[m.OID]:
			status = rndis.StatusInvalidData
		case m.OID == rndis.OIDGenPacketFilter:
			h.filter = le32(info)
		case m.OID == rndis.OIDTCPOffloadParameters:
			if h.params, err = rndis.DecodeOffloadParameters(info); err != nil {
				h.breach("offload: %v", err)
			}
		}
		h.answer(rndis.SetComplete{RequestID: m.RequestID, Status: status}.AppendTo(nil))
	case rndis.TypeKeepaliveComplete:
		h.order = append(h.order, "keepalive")
	case rndis.TypeHalt:
		h.order = append(h.order, "halt")
	default:
		h.breach("control type %#x", hd.Type)
	}
}

// answer sends an RNDIS control message; mu is held.
func (h *fakeHost) answer(msg []byte) { h.push(h.place(nvsp.ChannelControl, msg)) }

// place writes msg to a slot of the receive buffer; mu is held.
func (h *fakeHost) place(channel uint32, msg []byte) Packet {
	slots := len(h.recv.Bytes) / 1806
	off := h.nextSlot % slots * 1806
	h.nextSlot++
	copy(h.recv.Bytes[off:], msg)
	head := nvsp.SendRNDISPacket{ChannelType: channel, SectionIndex: nvsp.NoSection}
	return Packet{Kind: TransferPages, SetID: receiveBufferID, Transaction: uint64(h.nextSlot), WantsCompletion: true,
		Payload: head.AppendTo(nil), Ranges: []Range{{uint32(len(msg)), uint32(off)}}}
}

// deliver sends frames to the guest, all in one message.
func (h *fakeHost) deliver(frames ...[]byte) {
	var msg []byte
	for _, f := range frames {
		msg = append(msg, packetMessage(f, nil)...)
	}
	h.deliverRaw(nvsp.ChannelData, msg)
}

func (h *fakeHost) deliverRaw(channel uint32, msg []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.push(h.place(channel, msg))
}

func packetMessage(frame, ppis []byte) []byte {
	m := rndis.Packet{PPIOffset: 36, PPILength: uint32(len(ppis)), DataOffset: uint32(36 + len(ppis)), DataLength: uint32(len(frame))}
	size := (rndis.PacketSize + len(ppis) + len(frame) + 7) / 8 * 8
	m.Length = uint32(size)
	b := append(append(m.AppendTo(nil), ppis...), frame...)
	return append(b, make([]byte, size-len(b))...)
}

// until waits for cond, which is called with h.mu held.
func (h *fakeHost) until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		ok := cond()
		h.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (h *fakeHost) check(t testing.TB) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, err := range h.errs {
		t.Errorf("guest breaks the protocol: %v", err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t testing.TB, h *fakeHost, o Options) *NIC {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet()
	}
	n, err := Open(h, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(); h.check(t) })
	return n
}
