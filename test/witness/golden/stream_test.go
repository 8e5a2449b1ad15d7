// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"fmt"
	"strings"

	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/host/record/decode"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// item is one message of a guest's in a form that can be compared.
type item struct {
	key    string // which message it is
	fields []decode.Field
}

// streams are what a guest said, in order, apart for each device, and apart for channel
// messages ("network messages"), packets ("network") and completions of the host's
// packets ("network completions"): there is no order between them but by waiting for
// answers. The bus's own messages are stream "VMBus".
type streams map[string][]item

// place is where an item is.
type place struct {
	stream string
	at     int
}

// offered is a channel as the host offered it.
type offered struct {
	name       string // of the stream
	connection string // of its signals
}

// splitter sorts the records of one recording into streams.
type splitter struct {
	out      streams
	channels map[string]offered // by id
	gpadls   map[string]*gpadl  // by id
	packets  map[uint32]place   // of each channel's last packet
}

// gpadl is a GPADL whose messages are still coming.
type gpadl struct {
	stream string
	at     int // of its item
	bodies int
	last   string // of the last body: what it carries
}

// split decodes a recording. What the host says is left out, but for its offers.
func split(records []record.Record) streams {
	s := &splitter{out: streams{}, channels: map[string]offered{}, gpadls: map[string]*gpadl{}, packets: map[uint32]place{}}
	d := decode.New()
	refused := refusals(records)
	for i, r := range records {
		e := d.Decode(r)
		switch {
		case r.ToGuest && r.Kind == record.Message:
			s.offer(e.Parts[0])
		case r.ToGuest || refused[i]:
		case r.Kind == record.Message:
			s.message(e.Parts[0])
		case r.Kind == record.Packet:
			s.packet(e)
		case r.Kind == record.Memory:
			s.memory(e)
		case r.Kind == record.Signal:
			s.signal(e)
		}
	}
	return s.out
}

// refusals finds the messages that the host did not take: the guest sends them again.
func refusals(records []record.Record) map[int]bool {
	refused := map[int]bool{}
	last := -1
	for i, r := range records {
		switch {
		case r.Kind == record.Message && !r.ToGuest:
			last = i
		case r.Kind == record.Refused && last >= 0:
			refused[last] = true
		}
	}
	return refused
}

func (s *splitter) offer(p decode.Part) {
	if p.Name != wire.MsgOfferChannel.String() {
		return
	}
	name := p.Get("interface")
	if sub := p.Get("sub-channel"); sub != "0" {
		name += " sub-channel"
	}
	s.channels[p.Get("channel")] = offered{name, p.Get("connection")}
}

func (s *splitter) stream(channel string) string {
	if c, ok := s.channels[channel]; ok {
		return c.name
	}
	return "unknown channel"
}

// device is the stream of a channel's packets: that of the primary channel for
// sub-channels too, as a guest chooses freely.
func (s *splitter) device(channel uint32) string {
	return strings.TrimSuffix(s.stream(fmt.Sprint(channel)), " sub-channel")
}

func (s *splitter) add(stream, key string, fields []decode.Field) {
	s.out[stream] = append(s.out[stream], item{key, fields})
}

// message adds a channel message. The messages of a GPADL become one item.
func (s *splitter) message(p decode.Part) {
	stream := "VMBus"
	if channel := p.Get("channel"); channel != "" {
		stream = s.stream(channel) + " messages"
	}
	switch p.Name {
	case wire.MsgGPADLHeader.String():
		s.gpadls[p.Get("GPADL")] = &gpadl{stream: stream, at: len(s.out[stream])}
	case wire.MsgGPADLBody.String():
		if g := s.gpadls[p.Get("GPADL")]; g != nil {
			it := &s.out[g.stream][g.at]
			it.body(g, p)
			return
		}
	}
	key := p.Name
	if p.Name == wire.MsgInitiateContact.String() {
		key += " " + p.Get("version")
	}
	s.add(stream, key, named("", p.Fields))
}

// body adds a body to its GPADL's item: what all but the last have in common, and
// the last.
func (it *item) body(g *gpadl, p decode.Part) {
	if g.bodies > 0 {
		it.set("full bodies", g.last) // the one before was not the last
	}
	g.last = fmt.Sprintf("%s bytes with %s page numbers", p.Get("size"), p.Get("page numbers"))
	g.bodies++
	it.set("last body", g.last)
	if other := p.Get("other"); other != "" {
		it.set("other in body", other)
	}
}

func (it *item) set(name, value string) {
	for i := range it.fields {
		if it.fields[i].Name == name {
			it.fields[i].Value = value
			return
		}
	}
	it.fields = append(it.fields, decode.Field{Name: name, Value: value})
}

// packet adds a packet with what it carries.
func (s *splitter) packet(e decode.Event) {
	stream := s.device(e.Channel)
	if h, err := wire.DecodePacketHeader(e.Data); err == nil && h.Type == wire.PacketCompletion {
		stream += " completions"
	}
	s.packets[e.Channel] = place{stream, len(s.out[stream])}
	s.add(stream, "", []decode.Field{{Name: "packet", Value: e.Parts[0].Name}})
	s.carries(e.Channel, e.Parts)
}

// memory adds what a packet has in the send buffer, which the host reads after the packet.
func (s *splitter) memory(e decode.Event) {
	if _, ok := s.packets[e.Channel]; ok {
		s.carries(e.Channel, e.Parts[1:])
	}
}

// carries adds parts to the channel's last packet. The innermost names it.
func (s *splitter) carries(channel uint32, parts []decode.Part) {
	last := s.packets[channel]
	it := &s.out[last.stream][last.at]
	for _, p := range parts {
		it.fields = append(it.fields, named(p.Layer+" ", p.Fields)...)
		it.key = p.Name
		if strings.HasPrefix(it.key, "EXECUTE_SRB") {
			it.key += " of " + strings.TrimPrefix(p.Get("address"), "port 0 ")
		}
		if p.Layer == "RNDIS" && p.Get("frame") != "" { // which frame it is
			it.key += " of type " + p.Get("frame")[len(p.Get("frame"))-4:]
		}
	}
}

// named gives fields a prefix, and those that come more than once a number.
func named(prefix string, fields []decode.Field) []decode.Field {
	seen := map[string]int{}
	var out []decode.Field
	for _, f := range fields {
		name := prefix + f.Name
		if seen[name]++; seen[name] > 1 {
			name += fmt.Sprintf(" (%d)", seen[name])
		}
		out = append(out, decode.Field{Name: name, Value: f.Value})
	}
	return out
}

// signal adds a signal that is not on the connection of the channel's offer, with flag
// 0. Of the others the number is a matter of time.
func (s *splitter) signal(e decode.Event) {
	p := e.Parts[0]
	c := s.channels[fmt.Sprint(e.Channel)]
	if p.Get("connection") != c.connection || p.Get("flag") != "0" || p.Get("status") != "" {
		s.add("signals", c.name, p.Fields)
	}
}
