// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	"fmt"
	"strings"

	"github.com/hvgo/hvgo/host/record"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// Field is one field of a message.
type Field struct{ Name, Value string }

// Part is one message: of a channel, a packet, or what a packet carries.
type Part struct {
	Layer  string // "VMBus", "ring", "vstor", "NVSP", "RNDIS", "IC", "balloon", "memory"
	Name   string
	Fields []Field
	Raw    []byte // what it was read from
}

// Get returns the value of a field, or nothing.
func (p *Part) Get(name string) string {
	for _, f := range p.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func (p *Part) add(name, format string, args ...any) {
	p.Fields = append(p.Fields, Field{name, fmt.Sprintf(format, args...)})
}

// nonzero adds a field unless it is zero, as reserved and seldom used ones are.
func (p *Part) nonzero(name string, v uint64) {
	if v != 0 {
		p.add(name, "%#x", v)
	}
}

// failed adds why the bytes could not be read, and the bytes.
func (p *Part) failed(err error) {
	p.add("error", "%v", err)
	p.add("bytes", "%x", p.Raw)
}

// finish ends the decoding of a whole message that decode was called for: the fields
// after the first n are its.
func (p *Part) finish(n int, again []byte, err error) {
	if err != nil {
		p.Fields = p.Fields[:n]
		p.failed(err)
		return
	}
	p.rest(again)
}

// rest adds the bytes that the fields do not tell: where Raw differs from again, the
// encoding of what was decoded, or is longer than it and not zero there.
func (p *Part) rest(again []byte) {
	var other []string
	for i := 0; i < len(p.Raw); {
		n := 0
		for i+n < len(p.Raw) && differs(p.Raw, again, i+n) {
			n++
		}
		if n > 0 {
			other = append(other, fmt.Sprintf("%x@%d", p.Raw[i:i+n], i))
		}
		i += n + 1
	}
	if len(other) > 0 {
		p.add("other", "%s", strings.Join(other, " "))
	}
	if len(p.Raw) < len(again) {
		p.add("missing", "%d", len(again)-len(p.Raw))
	}
}

func differs(raw, again []byte, i int) bool {
	if i < len(again) {
		return raw[i] != again[i]
	}
	return raw[i] != 0
}

// Event is one record with what it says.
type Event struct {
	record.Record
	Device string // kind of device, "" for what belongs to no channel
	Parts  []Part
}

// Decoder knows what earlier records of a recording said.
type Decoder struct {
	requests map[uint32]map[request]vstor.Operation // by channel
	waiting  int                                    // all of them
}

// request is a packet that waits for its completion.
type request struct {
	toGuest     bool
	transaction uint64
}

// maxRequests bounds what a Decoder remembers.
const maxRequests = 1 << 16

// New makes a Decoder, for one recording.
func New() *Decoder {
	return &Decoder{requests: map[uint32]map[request]vstor.Operation{}}
}

// Decode decodes the next record.
func (d *Decoder) Decode(r record.Record) Event {
	e := Event{Record: r}
	if !r.Opened.Interface.IsZero() {
		e.Device = wire.InterfaceName(r.Opened.Interface)
	}
	switch r.Kind {
	case record.Channel:
		d.forget(r.Channel)
		e.Parts = []Part{opened(r)}
	case record.Message:
		e.Parts = []Part{message(r)}
	case record.Packet:
		e.Parts = d.packet(r)
	case record.Memory:
		e.Parts = d.memory(r)
	case record.Signal:
		e.Parts = []Part{signal(r)}
	case record.Refused:
		e.Parts = []Part{{Layer: "VMBus", Name: "refused", Fields: []Field{{"connection", hex(uint64(r.Target))}, {"status", r.Status.Error()}}}}
	case record.Note:
		e.Parts = []Part{{Name: "note", Fields: []Field{{"text", printable(r.Text)}}}}
	case record.Rule:
		e.Parts = []Part{{Name: "broken rule", Fields: []Field{{"text", printable(r.Text)}}}}
	case record.Limit:
		e.Parts = []Part{{Name: "the recording had reached its size limit"}}
	}
	return e
}

// forget drops what belongs to an earlier opening of a channel.
func (d *Decoder) forget(channel uint32) {
	d.waiting -= len(d.requests[channel])
	delete(d.requests, channel)
}

// asked remembers a request until its completion.
func (d *Decoder) asked(channel uint32, key request, op vstor.Operation) {
	if d.waiting >= maxRequests {
		return
	}
	of := d.requests[channel]
	if of == nil {
		of = map[request]vstor.Operation{}
		d.requests[channel] = of
	}
	d.waiting -= len(of)
	of[key] = op
	d.waiting += len(of)
}

// completed gives the request that a completion is for.
func (d *Decoder) completed(channel uint32, key request) (vstor.Operation, bool) {
	op, ok := d.requests[channel][key]
	if ok {
		delete(d.requests[channel], key)
		d.waiting--
	}
	return op, ok
}

func opened(r record.Record) Part {
	p := Part{Layer: "VMBus", Name: "channel opened"}
	p.add("interface", "%v", r.Opened.Interface)
	p.add("instance", "%v", r.Opened.Instance)
	p.add("sub-channel", "%d", r.Opened.SubIndex)
	p.add("ring to host", "%d", r.Opened.ToHost)
	p.add("ring to guest", "%d", r.Opened.ToGuest)
	return p
}

func signal(r record.Record) Part {
	p := Part{Layer: "VMBus", Name: "signal"}
	if r.ToGuest {
		p.add("VP", "%d", r.Target)
	} else {
		p.add("connection", "%#x", r.Target)
	}
	p.add("flag", "%d", r.Flag)
	if r.Status != 0 {
		p.add("status", "%v", r.Status)
	}
	return p
}

func hex(v uint64) string { return fmt.Sprintf("%#x", v) }

// printable keeps a text from a file from acting on a terminal.
func printable(s string) string {
	q := fmt.Sprintf("%q", s)
	return q[1 : len(q)-1]
}
