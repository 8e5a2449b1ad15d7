// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// OIDs beside those of the wire package, which guests need not ask for.
const (
	oidGenProtocolOptions rndis.OID = 0x00010112
	oidGenNetworkAddrs    rndis.OID = 0x00010118 // OID_GEN_NETWORK_LAYER_ADDRESSES
	oidGenMaxLinkSpeed    rndis.OID = 0x00010206
	oidGenFriendlyName    rndis.OID = 0x00020216
	oidRcvAlignment       rndis.OID = 0x01020101 // OID_802_3_RCV_ERROR_ALIGNMENT
	oidOneCollision       rndis.OID = 0x01020102
	oidMoreCollisions     rndis.OID = 0x01020103
)

const (
	linkSpeed = 10_000_000_000 // bit/s, as Hyper-V's switch says

	vendorID      = 0x0000155D // first bytes of Microsoft's addresses, as vmswitch
	bufferSpace   = 256 << 10  // means nothing for a virtual card; what vmswitch says
	driverVersion = 0x0100

	// OID_GEN_MAC_OPTIONS: lookahead data is copied, transfers do not pend, no loopback.
	macOptions = 1<<0 | 1<<2 | 1<<3
	// NDIS_LINK_STATE.
	linkStateSize     = 40
	stateConnected    = 1
	stateDisconnected = 2
)

// supported is OID_GEN_SUPPORTED_LIST; the second part is for NDIS 6.
var supported = []rndis.OID{
	rndis.OIDGenSupportedList, rndis.OIDGenHardwareStatus, rndis.OIDGenMediaSupported, rndis.OIDGenMediaInUse,
	rndis.OIDGenMaximumLookahead, rndis.OIDGenCurrentLookahead, rndis.OIDGenMaximumFrameSize, rndis.OIDGenMaximumTotalSize,
	rndis.OIDGenTransmitBlockSize, rndis.OIDGenReceiveBlockSize, rndis.OIDGenLinkSpeed, rndis.OIDGenTransmitBufferSpace,
	rndis.OIDGenReceiveBufferSpace, rndis.OIDGenVendorID, rndis.OIDGenVendorDescription, rndis.OIDGenVendorDriverVersion,
	rndis.OIDGenDriverVersion, rndis.OIDGenPacketFilter, rndis.OIDGenMACOptions, rndis.OIDGenMediaConnectStatus,
	rndis.OIDGenMaximumSendPackets, rndis.OIDGenTransmitOK, rndis.OIDGenReceiveOK, rndis.OIDGenTransmitError,
	rndis.OIDGenReceiveError, rndis.OIDGenNoBuffer, rndis.OID8023PermanentAddress, rndis.OID8023CurrentAddress,
	rndis.OID8023MulticastList, rndis.OID8023MaximumListSize, oidRcvAlignment, oidOneCollision, oidMoreCollisions,
	oidGenNetworkAddrs, oidGenFriendlyName, rndis.OIDGenConfigParameter,
}

var supported6 = []rndis.OID{
	rndis.OIDGenLinkState, oidGenMaxLinkSpeed, rndis.OIDTCPOffloadParameters, rndis.OIDOffloadEncapsulation,
	rndis.OIDTCPOffloadHardwareCapabilities, rndis.OIDTCPOffloadCurrentConfig,
	rndis.OIDGenRSSCapabilities, rndis.OIDGenRSSParameters,
}

// query reads an OID.
func (s *session) query(oid rndis.OID) (info []byte, status rndis.Status) {
	if v, ok := s.query32(oid); ok {
		return le.AppendUint32(nil, v), rndis.StatusSuccess
	}
	mac := s.nic.opt.MAC
	switch oid {
	case rndis.OIDGenSupportedList:
		return s.supportedList(), rndis.StatusSuccess
	case rndis.OID8023PermanentAddress, rndis.OID8023CurrentAddress:
		return mac[:], rndis.StatusSuccess
	case rndis.OIDGenVendorDescription:
		return []byte("hvgo\x00"), rndis.StatusSuccess
	case rndis.OIDGenVendorDriverVersion, rndis.OIDGenDriverVersion:
		return le.AppendUint16(nil, driverVersion), rndis.StatusSuccess
	case oidGenFriendlyName:
		return friendlyName("hvgo network card"), rndis.StatusSuccess
	case rndis.OIDGenLinkState:
		return s.linkState(), rndis.StatusSuccess
	case oidGenMaxLinkSpeed:
		return le.AppendUint64(le.AppendUint64(nil, linkSpeed), linkSpeed), rndis.StatusSuccess
	case rndis.OIDTCPOffloadHardwareCapabilities:
		return s.appendOffload(s.nic.capabilities()), rndis.StatusSuccess
	case rndis.OIDTCPOffloadCurrentConfig:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.appendOffload(s.offload), rndis.StatusSuccess
	case rndis.OIDOffloadEncapsulation:
		return encapsulation(), rndis.StatusSuccess
	case rndis.OIDGenRSSCapabilities:
		return s.rssCapabilities(), rndis.StatusSuccess
	}
	return nil, rndis.StatusNotSupported
}

// query32 reads the OIDs that are one number of 32 bits.
func (s *session) query32(oid rndis.OID) (v uint32, ok bool) {
	s.mu.Lock()
	mtu := uint32(s.mtu)
	s.mu.Unlock()
	c := &s.nic.stats
	switch oid {
	case rndis.OIDGenHardwareStatus, rndis.OIDGenMediaSupported, rndis.OIDGenMediaInUse,
		rndis.OIDGenTransmitError, rndis.OIDGenReceiveError, rndis.OIDGenNoBuffer,
		rndis.OID8023MaximumListSize, oidRcvAlignment, oidOneCollision, oidMoreCollisions:
		return 0, true // ready; Ethernet; none
	case rndis.OIDGenMaximumLookahead, rndis.OIDGenCurrentLookahead, rndis.OIDGenMaximumFrameSize:
		return mtu - ethernetHeader, true
	case rndis.OIDGenMaximumTotalSize, rndis.OIDGenTransmitBlockSize, rndis.OIDGenReceiveBlockSize:
		return mtu, true
	case rndis.OIDGenLinkSpeed:
		return linkSpeed / 100, true
	case rndis.OIDGenTransmitBufferSpace, rndis.OIDGenReceiveBufferSpace:
		return bufferSpace, true
	case rndis.OIDGenVendorID:
		return vendorID, true
	case rndis.OIDGenPacketFilter:
		return s.filter.Load(), true
	case rndis.OIDGenMACOptions:
		return macOptions, true
	case rndis.OIDGenMediaConnectStatus:
		if s.nic.linkUp() {
			return rndis.MediaConnected, true
		}
		return rndis.MediaDisconnected, true
	case rndis.OIDGenMaximumSendPackets:
		return maxPackets, true
	case rndis.OIDGenTransmitOK:
		return uint32(c.fromGuest.Load()), true
	case rndis.OIDGenReceiveOK:
		return uint32(c.toGuest.Load()), true
	}
	return 0, false
}

func (s *session) supportedList() (b []byte) {
	list := supported
	if s.ndis.Major >= 6 {
		list = append(list[:len(list):len(list)], supported6...)
	}
	for _, oid := range list {
		b = le.AppendUint32(b, uint32(oid))
	}
	return b
}

// linkState is NDIS_LINK_STATE, revision 1: header, connection, duplex, padding,
// speeds both ways, pause functions, negotiation flags.
func (s *session) linkState() []byte {
	state := uint32(stateDisconnected)
	if s.nic.linkUp() {
		state = stateConnected
	}
	b := rndis.ObjectHeader{Type: rndis.ObjectDefault, Revision: 1, Size: linkStateSize}.AppendTo(nil)
	b = le.AppendUint32(le.AppendUint32(b, state), 0)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(le.AppendUint64(b, linkSpeed), linkSpeed)
	return le.AppendUint64(b, 0)
}

// friendlyName is a name of 256 UTF-16 units, filled up with zeros.
func friendlyName(name string) []byte {
	b := make([]byte, 512)
	for i, c := range []byte(name) {
		b[2*i] = c
	}
	return b
}

// set writes an OID.
func (s *session) set(oid rndis.OID, info []byte) rndis.Status {
	switch oid {
	case rndis.OIDGenPacketFilter:
		if len(info) < 4 {
			return rndis.StatusInvalidLength
		}
		s.setFilter(le.Uint32(info))
		return rndis.StatusSuccess
	case rndis.OIDTCPOffloadParameters:
		return s.setOffload(info)
	case rndis.OIDGenRSSParameters:
		return s.setRSS(info)
	case rndis.OIDOffloadEncapsulation, rndis.OIDGenConfigParameter, rndis.OIDGenCurrentLookahead,
		rndis.OID8023MulticastList, oidGenNetworkAddrs, oidGenProtocolOptions:
		// Hints, and lists that the packet filter makes superfluous: all multicast
		// is let in. Parameters are strings of the Windows registry.
		return rndis.StatusSuccess
	}
	return rndis.StatusNotSupported
}
