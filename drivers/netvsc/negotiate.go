// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// versions to propose, newest first. Version 1 has no NDIS config.
var versions = []nvsp.Version{nvsp.Version61, nvsp.Version6, nvsp.Version5, nvsp.Version4, nvsp.Version2, nvsp.Version1}

// negotiate brings the card up to the point where only the packet filter keeps
// frames away.
func (n *NIC) negotiate() error {
	if err := n.negotiateVersion(); err != nil {
		return err
	}
	if err := n.sendNDIS(); err != nil {
		return err
	}
	if err := n.shareReceiveBuffer(); err != nil {
		return err
	}
	sectionSize, sections, err := n.shareSendBuffer()
	if err != nil {
		return err
	}
	page, err := n.ch.Lend(1)
	if err != nil {
		return fmt.Errorf("control page: %w", err)
	}
	n.calls.setControl(page)
	limits, err := n.initializeRNDIS()
	if err != nil {
		return err
	}
	if err := n.queryCard(); err != nil {
		return err
	}
	n.negotiateOffload()
	return n.prepareTransmit(sectionSize, sections, limits)
}

// negotiateVersion proposes versions until the host takes one.
func (n *NIC) negotiateVersion() error {
	for _, v := range versions {
		b, err := n.call(nvsp.Init{Version: v, Version2: v}.AppendTo(nil), v, "propose NVSP "+v.String())
		if err != nil {
			return err
		}
		m, err := nvsp.DecodeInitComplete(b)
		if err != nil {
			return fmt.Errorf("propose NVSP %v: %w: %w", v, ErrProtocol, err)
		}
		if m.Status == nvsp.StatusSuccess {
			n.version = v
			return nil
		}
		n.log.Debug("NVSP version refused", "version", v, "status", m.Status)
	}
	return fmt.Errorf("NVSP %v to %v: %w", versions[len(versions)-1], versions[0], ErrRefused)
}

// sendNDIS gives MTU, then NDIS version. Hosts size the slots of the receive
// buffer by the MTU, so from version 2 on it must come before that.
func (n *NIC) sendNDIS() error {
	n.mtu = 1500
	if n.version >= nvsp.Version2 {
		n.mtu = n.o.MTU
		m := nvsp.SendNDISConfig{MTU: uint32(n.mtu + ethernetHeader), Capabilities: nvsp.CapIEEE8021Q}
		if err := n.tell(m.AppendTo(nil), "NDIS config"); err != nil {
			return err
		}
	}
	m := nvsp.SendNDISVersion{Major: 6, Minor: 1}
	if n.version >= nvsp.Version5 {
		m.Minor = 30
	}
	return n.tell(m.AppendTo(nil), "NDIS version")
}

// shareReceiveBuffer gives the host the memory it writes RNDIS messages to.
func (n *NIC) shareReceiveBuffer() error {
	const what = "receive buffer"
	mem, err := n.ch.Share((n.o.ReceiveBuffer + pageSize - 1) / pageSize)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	n.receive.Store(mem)
	msg := nvsp.SharedBuffer{Type: nvsp.TypeSendReceiveBuffer, GPADL: mem.GPADL, ID: receiveBufferID}
	b, err := n.call(msg.AppendTo(nil), n.version, what)
	if err != nil {
		return err
	}
	m, err := nvsp.DecodeSendReceiveBufferComplete(b)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrProtocol, err)
	}
	if m.Status != nvsp.StatusSuccess {
		return fmt.Errorf("%s: %w: %v", what, ErrRefused, m.Status)
	}
	if err := checkSections(m.Sections, len(mem.Bytes)); err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrProtocol, err)
	}
	return nil
}

// checkSections checks the host's division of a buffer of size bytes. The data
// path relies on the buffer's size only; a wrong table is a sign of worse.
func checkSections(sections []nvsp.Section, size int) error {
	if len(sections) == 0 {
		return errors.New("no section")
	}
	for i, s := range sections {
		end := uint64(s.Offset) + uint64(s.SlotSize)*uint64(s.Slots)
		if s.SlotSize == 0 || s.Slots == 0 || end > uint64(size) {
			return fmt.Errorf("section %d: %d slots of %d bytes at %d exceed %d bytes", i, s.Slots, s.SlotSize, s.Offset, size)
		}
	}
	return nil
}

// shareSendBuffer gives the host the memory it reads small frames from. The
// host chooses the section size in bytes; sections is their number.
func (n *NIC) shareSendBuffer() (sectionSize, sections int, err error) {
	const what = "send buffer"
	mem, err := n.ch.Share((n.o.SendBuffer + pageSize - 1) / pageSize)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", what, err)
	}
	msg := nvsp.SharedBuffer{Type: nvsp.TypeSendSendBuffer, GPADL: mem.GPADL, ID: sendBufferID}
	b, err := n.call(msg.AppendTo(nil), n.version, what)
	if err != nil {
		return 0, 0, err
	}
	m, err := nvsp.DecodeSendSendBufferComplete(b)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w: %w", what, ErrProtocol, err)
	}
	if m.Status != nvsp.StatusSuccess {
		return 0, 0, fmt.Errorf("%s: %w: %v", what, ErrRefused, m.Status)
	}
	if m.SectionSize == 0 || uint64(m.SectionSize) > uint64(len(mem.Bytes)) {
		return 0, 0, fmt.Errorf("%s: %w: sections of %d bytes in %d", what, ErrProtocol, m.SectionSize, len(mem.Bytes))
	}
	n.tx.buffer = mem.Bytes
	return int(m.SectionSize), min(len(mem.Bytes)/int(m.SectionSize), maxSections), nil
}

// initializeRNDIS opens the RNDIS conversation.
func (n *NIC) initializeRNDIS() (rndis.InitializeComplete, error) {
	const what = "RNDIS initialize"
	b, err := n.rndisCall(func(b []byte, id uint32) []byte {
		return rndis.Initialize{RequestID: id, Major: rndis.MajorVersion, Minor: rndis.MinorVersion, MaxTransferSize: 0x4000}.AppendTo(b)
	}, what)
	if err != nil {
		return rndis.InitializeComplete{}, err
	}
	m, err := rndis.DecodeInitializeComplete(b)
	if err != nil {
		return m, fmt.Errorf("%s: %w: %w", what, ErrProtocol, err)
	}
	if m.Status != rndis.StatusSuccess || m.Medium != rndis.Medium8023 {
		return m, fmt.Errorf("%s: %w: %v, medium %d", what, ErrRefused, m.Status, m.Medium)
	}
	return m, nil
}

// queryCard asks for addresses, frame size and state of the cable.
func (n *NIC) queryCard() (err error) {
	if n.permanent, err = n.queryMAC(rndis.OID8023PermanentAddress); err != nil {
		return err
	}
	if n.mac, err = n.queryMAC(rndis.OID8023CurrentAddress); err != nil {
		if !errors.Is(err, ErrRefused) {
			return err
		}
		n.mac = n.permanent // some hosts know only the permanent address
	}
	if size, err := n.query32(rndis.OIDGenMaximumFrameSize); err == nil && size >= 576 {
		n.mtu = min(n.mtu, int(min(size, 1<<16)))
	}
	state, err := n.query32(rndis.OIDGenMediaConnectStatus)
	if err != nil && !errors.Is(err, ErrRefused) {
		return err
	}
	n.linkUp.Store(err != nil || state == rndis.MediaConnected)
	return nil
}

// negotiateOffload switches checksum offload on if the host can do it for IPv4.
// A host that does not know the OIDs leaves it off.
func (n *NIC) negotiateOffload() {
	object := rndis.ObjectHeader{Type: rndis.ObjectOffload, Revision: 3, Size: rndis.OffloadSizeRevision3}
	size := rndis.OffloadParametersSize
	if n.version < nvsp.Version5 { // NDIS 6.1 and its revision 2 of the object
		object.Revision, object.Size = 2, rndis.OffloadSizeRevision2
		size = rndis.OffloadParametersSizeV4
	}
	// The question is an object with nothing but its header, as Linux asks.
	ask := append(object.AppendTo(nil), make([]byte, object.Size-rndis.ObjectHeaderSize)...)
	b, err := n.query(rndis.OIDTCPOffloadHardwareCapabilities, ask)
	if err != nil {
		n.log.Debug("no checksum offload", "err", err)
		return
	}
	caps, err := rndis.DecodeOffload(b)
	if err != nil {
		n.log.Warn("checksum offload ignored", "err", err)
		return
	}
	var p rndis.OffloadParameters
	p.TCPv4 = setting(caps.IPv4Tx, caps.IPv4Rx, rndis.CapTCP|rndis.CapTCPOptions)
	p.IPv4 = setting(0, caps.IPv4Rx, rndis.CapIPHeader) // sent headers come with their checksum
	if n.version >= nvsp.Version5 {
		p.UDPv4 = setting(caps.IPv4Tx, caps.IPv4Rx, rndis.CapUDP)
	}
	p.TCPv6, p.UDPv6 = rndis.ChecksumOff, rndis.ChecksumOff
	p.LSOv1, p.LSOv2IPv4, p.LSOv2IPv6 = rndis.LSOOff, rndis.LSOOff, rndis.LSOOff
	if err := n.set(rndis.OIDTCPOffloadParameters, p.AppendTo(nil, size)); err != nil {
		n.log.Debug("no checksum offload", "err", err)
		return
	}
	n.offload.IPv4Rx = caps.IPv4Rx
	if transmits(p.TCPv4) && transmits(p.UDPv4) {
		n.offload.IPv4Tx = caps.IPv4Tx
	}
}

// setting is what to switch on of a checksum the host can do as tx and rx say.
func setting(tx, rx, want rndis.ChecksumCaps) rndis.OffloadSetting {
	switch t, r := tx.Has(want), rx.Has(want&^rndis.CapTCPOptions); {
	case t && r:
		return rndis.ChecksumBoth
	case t:
		return rndis.ChecksumTransmit
	case r:
		return rndis.ChecksumReceive
	}
	return rndis.ChecksumOff
}

func transmits(s rndis.OffloadSetting) bool {
	return s == rndis.ChecksumBoth || s == rndis.ChecksumTransmit
}

// setPacketFilter says which frames the host shall deliver.
func (n *NIC) setPacketFilter(filter uint32) error {
	return n.set(rndis.OIDGenPacketFilter, binary.LittleEndian.AppendUint32(nil, filter))
}

// halt ends the conversation in the reverse order. Errors do not matter: the
// channel is closed next.
func (n *NIC) halt() {
	n.setPacketFilter(rndis.FilterNone)
	n.calls.rndis.Lock()
	defer n.calls.rndis.Unlock()
	n.sendControl(rndis.Halt{RequestID: 0xFFFFFFFF}.AppendTo(nil), "RNDIS halt")
	n.tell(nvsp.RevokeBuffer{Type: nvsp.TypeRevokeReceiveBuffer, ID: receiveBufferID}.AppendTo(nil), "revoke receive buffer")
	n.tell(nvsp.RevokeBuffer{Type: nvsp.TypeRevokeSendBuffer, ID: sendBufferID}.AppendTo(nil), "revoke send buffer")
}
