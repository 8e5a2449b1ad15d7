// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/hvgo/hvgo/host/record"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

var le = binary.LittleEndian

// message decodes a channel message.
func message(r record.Record) Part {
	p := Part{Layer: "VMBus", Name: "message", Raw: r.Data}
	if r.ToGuest {
		p.add("VP", "%d", r.Target)
		p.add("SINT", "%d", r.SINT)
	} else {
		p.add("connection", "%#x", r.Target)
	}
	p.add("size", "%d", len(r.Data))
	t, err := wire.DecodeType(r.Data)
	if err != nil {
		p.failed(err)
		return p
	}
	p.Name = t.String()
	decode, ok := messages[t]
	if !ok {
		p.rest(wire.AppendHeader(nil, t))
		return p
	}
	n := len(p.Fields)
	again, err := decode(&p, r.Data)
	p.finish(n, again, err)
	return p
}

// messages add the fields of each kind of message that has some, and encode it again.
var messages = map[wire.MessageType]func(p *Part, b []byte) ([]byte, error){
	wire.MsgOfferChannel:             offerChannel,
	wire.MsgRescindChannelOffer:      channelMessage,
	wire.MsgCloseChannel:             channelMessage,
	wire.MsgRelIDReleased:            channelMessage,
	wire.MsgOpenChannel:              openChannel,
	wire.MsgOpenChannelResult:        openResult,
	wire.MsgGPADLHeader:              gpadlHeader,
	wire.MsgGPADLBody:                gpadlBody,
	wire.MsgGPADLCreated:             gpadlCreated,
	wire.MsgGPADLTeardown:            gpadlTeardown,
	wire.MsgGPADLTorndown:            gpadlTorndown,
	wire.MsgInitiateContact:          initiateContact,
	wire.MsgVersionResponse:          versionResponse,
	wire.MsgModifyChannel:            modifyChannel,
	wire.MsgModifyChannelResponse:    modifyChannelResponse,
	wire.MsgModifyConnection:         modifyConnection,
	wire.MsgModifyConnectionResponse: modifyConnectionResponse,
}

func offerChannel(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeOfferChannel(b)
	p.add("channel", "%d", m.ChannelID)
	p.add("interface", "%s", wire.InterfaceName(m.InterfaceID))
	p.add("instance", "%v", m.InstanceID)
	p.add("sub-channel", "%d", m.SubchannelIndex)
	p.add("flags", "%#x", m.Flags)
	p.nonzero("MMIO MB", uint64(m.MMIOMegabytes))
	p.nonzero("optional MMIO MB", uint64(m.MMIOMegabytesOptional))
	p.userData(m.UserDefined)
	p.nonzero("monitor", uint64(m.MonitorID))
	p.add("monitored", "%t", m.MonitorAllocated)
	p.add("dedicated", "%t", m.DedicatedInterrupt)
	p.add("connection", "%#x", m.ConnectionID)
	return m.AppendTo(nil), err
}

// userData adds 120 bytes that are mostly zero.
func (p *Part) userData(b [wire.UserDataSize]byte) {
	end := len(b)
	for end > 0 && b[end-1] == 0 {
		end--
	}
	if end == 0 {
		p.add("user data", "zeros")
		return
	}
	p.add("user data", "%x, then zeros", b[:end])
}

func channelMessage(p *Part, b []byte) ([]byte, error) {
	t, _ := wire.DecodeType(b) // was read before
	m, err := wire.DecodeChannelMessage(b, t)
	p.add("channel", "%d", m.ChannelID)
	return m.AppendTo(nil), err
}

func openChannel(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeOpenChannel(b)
	p.add("channel", "%d", m.ChannelID)
	p.add("open id", "%d", m.OpenID)
	p.add("GPADL", "%#x", uint32(m.RingGPADL))
	p.add("VP", "%#x", m.TargetVP)
	p.add("second ring at page", "%d", m.DownstreamPageOffset)
	p.userData(m.UserData)
	return m.AppendTo(nil), err
}

func openResult(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeOpenResult(b)
	p.add("channel", "%d", m.ChannelID)
	p.add("open id", "%d", m.OpenID)
	p.add("status", "%#x", m.Status)
	return m.AppendTo(nil), err
}

func gpadlHeader(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeGPADLHeader(b)
	p.add("channel", "%d", m.ChannelID)
	p.add("GPADL", "%#x", uint32(m.GPADLID))
	p.add("bytes", "%d", m.Length)
	p.add("ranges", "%d", m.RangeCount)
	if r, e := wire.DecodeGPARange(m.Data); e == nil {
		p.add("first range", "%d bytes at %d", r.ByteCount, r.ByteOffset)
		p.pages(m.Data[wire.GPARangeSize:])
	}
	return m.AppendTo(nil), err
}

// pages adds page numbers: how many, and which, neighbours put together.
func (p *Part) pages(b []byte) {
	var runs []string
	n := len(b) / wire.PFNSize
	for i := 0; i < n; {
		first := le.Uint64(b[i*wire.PFNSize:])
		j := i + 1
		for j < n && le.Uint64(b[j*wire.PFNSize:]) == first+uint64(j-i) {
			j++
		}
		if j == i+1 {
			runs = append(runs, fmt.Sprintf("%#x", first))
		} else {
			runs = append(runs, fmt.Sprintf("%#x+%d", first, j-i))
		}
		i = j
	}
	p.add("page numbers", "%d", n)
	if n > 0 {
		p.add("pages", "%s", strings.Join(runs, " "))
	}
	if extra := b[n*wire.PFNSize:]; len(extra) > 0 {
		p.add("behind pages", "%x", extra)
	}
}

func gpadlBody(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeGPADLBody(b)
	p.add("GPADL", "%#x", uint32(m.GPADLID))
	p.pages(m.Data)
	return m.AppendTo(nil), err
}

func gpadlCreated(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeGPADLCreated(b)
	p.add("channel", "%d", m.ChannelID)
	p.add("GPADL", "%#x", uint32(m.GPADLID))
	p.add("status", "%#x", m.Status)
	return m.AppendTo(nil), err
}

func gpadlTeardown(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeGPADLTeardown(b)
	p.add("channel", "%d", m.ChannelID)
	p.add("GPADL", "%#x", uint32(m.GPADLID))
	return m.AppendTo(nil), err
}

func gpadlTorndown(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeGPADLTorndown(b)
	p.add("GPADL", "%#x", uint32(m.GPADLID))
	return m.AppendTo(nil), err
}

func initiateContact(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeInitiateContact(b)
	p.add("version", "%v", m.Version)
	p.add("VP", "%d", m.TargetVP)
	if m.Version >= wire.Version5_0 {
		t := wire.TargetInfoFromWord(m.InterruptPageGPA)
		p.add("SINT", "%d", t.SINT)
		p.add("VTL", "%d", t.VTL)
		p.add("features", "%#x", uint32(t.Features))
		p.nonzero("rest of target", m.InterruptPageGPA&^t.Word())
	} else {
		p.add("interrupt page", "%#x", m.InterruptPageGPA)
	}
	p.add("monitor pages", "%#x %#x", m.MonitorHostGPA, m.MonitorGuestGPA)
	if m.HasClientID {
		p.add("client", "%v", m.ClientID)
	}
	return m.AppendTo(nil), err
}

func versionResponse(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeVersionResponse(b)
	p.add("supported", "%t", m.Supported)
	p.add("state", "%d", m.State)
	p.add("version or connection", "%#x", m.VersionOrConnID)
	p.add("features", "%#x", uint32(m.Features))
	if len(b) >= wire.VersionResponseMonitorSize {
		p.add("monitor pages", "%#x %#x", m.MonitorHostGPA, m.MonitorGuestGPA)
	}
	return m.AppendTo(nil, len(b)), err
}

func modifyChannel(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeModifyChannel(b)
	p.add("channel", "%d", m.ChannelID)
	p.add("VP", "%#x", m.TargetVP)
	return m.AppendTo(nil), err
}

func modifyChannelResponse(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeModifyChannelResponse(b)
	p.add("channel", "%d", m.ChannelID)
	p.add("status", "%#x", m.Status)
	return m.AppendTo(nil), err
}

func modifyConnection(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeModifyConnection(b)
	p.add("monitor pages", "%#x %#x", m.MonitorHostGPA, m.MonitorGuestGPA)
	return m.AppendTo(nil), err
}

func modifyConnectionResponse(p *Part, b []byte) ([]byte, error) {
	m, err := wire.DecodeModifyConnectionResponse(b)
	p.add("state", "%d", m.State)
	return m.AppendTo(nil), err
}
