// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/host/record/decode"
	hostbus "github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/test/witness"
)

// TestReplay says to the host what Linux said, once more: without a VM, and with the
// host's answers awaited where Linux had them. The host must answer as often as it
// did, say all messages, completions and RNDIS answers in the bytes that Linux took, and
// find no rule broken that Linux did not break.
func TestReplay(t *testing.T) {
	row := witness.Start(t, "Debian Linux, recorded", "its messages and packets replayed to the test host")
	total, answered := 0, 0
	for name, records := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			r := newReplay(t, strings.HasSuffix(name, "2cpu"))
			r.run(records)
			total += r.said
			if r.compared != r.answers.total || r.compared == 0 {
				t.Errorf("the host gave %d answers of %d", r.compared, r.answers.total)
			}
			want := map[string]bool{}
			for _, rec := range records {
				if rec.Kind == record.Rule {
					rule, _, _ := strings.Cut(rec.Text, ":")
					want[rule] = true
				}
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.checkMessages(records)
			answered += r.compared
			for _, rule := range r.rules {
				if name, _, _ := strings.Cut(rule, ":"); !want[name] {
					t.Errorf("the host found a rule broken: %s", rule)
				}
			}
		})
	}
	row.SetVersion("6.12 and 6.1")
	row.SetExercised(fmt.Sprintf("%d of its messages and packets replayed to the test host, which takes all, and says the %d messages, completions and RNDIS answers that Linux took", total, answered))
}

// replay is a guest that only repeats. It is host/vmbus.VM and .Memory, too: any page
// is there as soon as it is named.
type replay struct {
	t       *testing.T
	server  *hostbus.Server
	devices *devices
	said    int

	answers  *answers // that the host still owes
	compared int

	gpadls map[string][]uint64 // page numbers by GPADL
	rings  map[uint32]*rings   // by channel

	mu    sync.Mutex // guards what follows
	pages map[uint64][]byte
	heard [][]byte // the host's messages
	rules []string
}

// rings are an open channel's, from the guest's side.
type rings struct {
	out, in    ring
	connection uint32
	packets    int // of the host's, taken
	expected   int // as recorded
}

func newReplay(t *testing.T, two bool) *replay {
	r := &replay{t: t, gpadls: map[string][]uint64{}, rings: map[uint32]*rings{}, pages: map[uint64][]byte{}}
	processors := 1
	if two {
		processors = 2
	}
	r.devices = newDevices(t, processors)
	r.server = hostbus.New(r, hostbus.Options{Log: slog.New(slog.DiscardHandler), Strict: func(rule, detail string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.rules = append(r.rules, rule+": "+detail)
	}})
	t.Cleanup(r.server.Close)
	for _, d := range r.devices.list() {
		r.server.AddDevice(d)
	}
	return r
}

// run repeats what the guest said. Before each thing it waits until the host has said
// as much as it had when this was recorded.
func (r *replay) run(records []record.Record) {
	r.answers = readAnswers(records)
	d := decode.New()
	refused := refusals(records)
	connections := map[uint32]uint32{} // by channel
	messages := 0
	written := map[int]bool{}
	for i, rec := range records {
		e := d.Decode(rec)
		switch {
		case rec.ToGuest && rec.Kind == record.Message:
			messages++
			if o, err := wire.DecodeOfferChannel(rec.Data); err == nil {
				connections[uint32(o.ChannelID)] = o.ConnectionID
			}
		case rec.ToGuest && rec.Kind == record.Packet:
			r.rings[rec.Channel].expected++
			if e.Parts[len(e.Parts)-1].Name == "SHUTDOWN" {
				go func() { _ = r.devices.shutdown.RequestShutdown(r.t.Context(), false, false) }() // the answer is checked as a packet
			}
		case rec.ToGuest || refused[i] || written[i]:
		case rec.Kind == record.Message:
			r.await(messages)
			for _, j := range lastPackets(records, i) { // the host read them when CLOSE_CHANNEL was on its way
				r.write(records[j], following(records[j+1:], records[j].Channel))
				written[j] = true
			}
			r.post(e, connections)
		case rec.Kind == record.Packet:
			r.await(messages)
			r.write(rec, following(records[i+1:], rec.Channel))
		}
	}
	r.await(messages)
}

// lastPackets finds the guest's packets in a channel that were recorded after record i,
// which closes it.
func lastPackets(records []record.Record, i int) (last []int) {
	m, err := wire.DecodeChannelMessage(records[i].Data, wire.MsgCloseChannel)
	if err != nil {
		return nil
	}
	for j := i + 1; j < len(records); j++ {
		rec := &records[j]
		if rec.Channel != uint32(m.ChannelID) || rec.ToGuest {
			continue
		}
		if rec.Kind == record.Channel { // opened again
			return last
		}
		if rec.Kind == record.Packet {
			last = append(last, j)
		}
	}
	return last
}

// following finds the memory of the send buffer that a packet speaks of: it was
// recorded after the packet, when the host read it.
func following(records []record.Record, channel uint32) *record.Record {
	for i := range records {
		if rec := &records[i]; rec.Channel == channel && !rec.ToGuest {
			if rec.Kind == record.Memory {
				return rec
			}
			if rec.Kind == record.Packet {
				return nil
			}
		}
	}
	return nil
}

// await waits for the host, and takes its packets.
func (r *replay) await(messages int) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Microsecond) {
		missing := ""
		r.mu.Lock()
		if len(r.heard) < messages {
			missing = fmt.Sprintf("%d of %d messages", len(r.heard), messages)
		}
		r.mu.Unlock()
		for channel, c := range r.rings {
			for _, packet := range c.in.take() {
				r.check(channel, packet)
				c.packets++
			}
			if c.packets < c.expected {
				missing = fmt.Sprintf("channel %d: %d of %d packets", channel, c.packets, c.expected)
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("the host does not answer any more: %s; broken rules: %q", missing, r.rules)
		}
	}
}

// post repeats a channel message.
func (r *replay) post(e decode.Event, connections map[uint32]uint32) {
	r.said++
	p := &e.Parts[0]
	switch t, _ := wire.DecodeType(e.Data); t {
	case wire.MsgGPADLHeader:
		m, _ := wire.DecodeGPADLHeader(e.Data) // the host checks it
		r.gpadls[p.Get("GPADL")] = appendPages(nil, m.Data[wire.GPARangeSize:])
	case wire.MsgGPADLBody:
		m, _ := wire.DecodeGPADLBody(e.Data)
		r.gpadls[p.Get("GPADL")] = appendPages(r.gpadls[p.Get("GPADL")], m.Data)
	case wire.MsgOpenChannel:
		m, _ := wire.DecodeOpenChannel(e.Data)
		r.rings[uint32(m.ChannelID)] = r.open(r.gpadls[p.Get("GPADL")], int(m.DownstreamPageOffset), connections[uint32(m.ChannelID)])
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Microsecond) {
		s := r.server.PostMessage(e.Target, 1, e.Data)
		if s == tlfs.StatusSuccess {
			return
		}
		if s != tlfs.StatusInsufficientBuffers || time.Now().After(end) {
			r.t.Fatalf("%s: %v", p.Name, s)
		}
	}
}

func appendPages(pages []uint64, b []byte) []uint64 {
	for ; len(b) >= wire.PFNSize; b = b[wire.PFNSize:] {
		pages = append(pages, le.Uint64(b))
	}
	return pages
}

// write repeats a packet, after the memory that it names.
func (r *replay) write(rec record.Record, section *record.Record) {
	r.said++
	c := r.rings[rec.Channel]
	if h, err := wire.DecodePacketHeader(rec.Data); err == nil && h.Type == wire.PacketGPADirect {
		r.fill(rec.Data[wire.PacketHeaderSize+wire.GPADirectHeaderSize:], rec.Memory)
	}
	if section != nil {
		pages := r.gpadls[hexadecimal(section.ID)]
		r.store(pages, int(section.Offset), section.Memory)
	}
	if at := c.out.index(wire.RingInOffset); at != rec.Position {
		r.t.Fatalf("channel %d: packet recorded at %#x of the ring, we are at %#x", rec.Channel, rec.Position, at)
	}
	packet := le.AppendUint64(slices.Clone(rec.Data), rec.Trailer)
	if c.out.put(packet) {
		if s := r.server.SignalEvent(c.connection, 0); s != tlfs.StatusSuccess {
			r.t.Fatalf("channel %d: signal: %v", rec.Channel, s)
		}
	}
}

func hexadecimal(id uint64) string { return fmt.Sprintf("%#x", id) }

// fill writes memory into the ranges of a GPA-direct packet, the first of which is
// all that these packets have.
func (r *replay) fill(ranges, memory []byte) {
	g, err := wire.DecodeGPARange(ranges)
	if err != nil {
		r.t.Fatal(err)
	}
	r.store(appendPages(nil, ranges[wire.GPARangeSize:]), int(g.ByteOffset), memory)
}

// store writes b at an offset of pages.
func (r *replay) store(pages []uint64, offset int, b []byte) {
	for len(b) > 0 {
		page, _ := r.Bytes(pages[offset/wire.PageSize]*wire.PageSize, wire.PageSize)
		n := copy(page[offset%wire.PageSize:], b)
		b, offset = b[n:], offset+n
	}
}

// PostMessage is host/vmbus.VM: the host's messages are kept.
func (r *replay) PostMessage(_ uint32, _ uint8, _ uint32, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, slices.Clone(b))
	return nil
}

// SignalEvent is host/vmbus.VM. We look at the rings all the time.
func (r *replay) SignalEvent(uint32, uint8, uint16) error { return nil }

// VPs is host/vmbus.VM: more than any recording has.
func (r *replay) VPs() uint32 { return 64 }

// Memory is host/vmbus.VM.
func (r *replay) Memory() hostbus.Memory { return r }

// Bytes is host/vmbus.Memory.
func (r *replay) Bytes(gpa, n uint64) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	page := r.pages[gpa/wire.PageSize]
	if page == nil {
		page = newPage()
		r.pages[gpa/wire.PageSize] = page
	}
	return page[gpa%wire.PageSize:][:n:n], nil
}
