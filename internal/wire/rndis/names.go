// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package rndis

import "fmt"

var typeNames = map[Type]string{
	TypePacket: "PACKET", TypeInitialize: "INITIALIZE", TypeHalt: "HALT", TypeQuery: "QUERY", TypeSet: "SET", TypeReset: "RESET",
	TypeIndicateStatus: "INDICATE_STATUS", TypeKeepalive: "KEEPALIVE", TypeInitializeComplete: "INITIALIZE_COMPLETE",
	TypeQueryComplete: "QUERY_COMPLETE", TypeSetComplete: "SET_COMPLETE", TypeResetComplete: "RESET_COMPLETE",
	TypeKeepaliveComplete: "KEEPALIVE_COMPLETE",
}

// String gives the message's name as in Remote NDIS, or its number.
func (t Type) String() string {
	if n := typeNames[t]; n != "" {
		return n
	}
	return fmt.Sprintf("message 0x%X", uint32(t))
}

var oidNames = map[OID]string{
	OIDGenSupportedList: "OID_GEN_SUPPORTED_LIST", OIDGenHardwareStatus: "OID_GEN_HARDWARE_STATUS",
	OIDGenMediaSupported: "OID_GEN_MEDIA_SUPPORTED", OIDGenMediaInUse: "OID_GEN_MEDIA_IN_USE",
	OIDGenMaximumLookahead: "OID_GEN_MAXIMUM_LOOKAHEAD", OIDGenMaximumFrameSize: "OID_GEN_MAXIMUM_FRAME_SIZE",
	OIDGenLinkSpeed: "OID_GEN_LINK_SPEED", OIDGenTransmitBufferSpace: "OID_GEN_TRANSMIT_BUFFER_SPACE",
	OIDGenReceiveBufferSpace: "OID_GEN_RECEIVE_BUFFER_SPACE", OIDGenTransmitBlockSize: "OID_GEN_TRANSMIT_BLOCK_SIZE",
	OIDGenReceiveBlockSize: "OID_GEN_RECEIVE_BLOCK_SIZE", OIDGenVendorID: "OID_GEN_VENDOR_ID",
	OIDGenVendorDescription: "OID_GEN_VENDOR_DESCRIPTION", OIDGenPacketFilter: "OID_GEN_CURRENT_PACKET_FILTER",
	OIDGenCurrentLookahead: "OID_GEN_CURRENT_LOOKAHEAD", OIDGenDriverVersion: "OID_GEN_DRIVER_VERSION",
	OIDGenMaximumTotalSize: "OID_GEN_MAXIMUM_TOTAL_SIZE", OIDGenMACOptions: "OID_GEN_MAC_OPTIONS",
	OIDGenMediaConnectStatus: "OID_GEN_MEDIA_CONNECT_STATUS", OIDGenMaximumSendPackets: "OID_GEN_MAXIMUM_SEND_PACKETS",
	OIDGenVendorDriverVersion: "OID_GEN_VENDOR_DRIVER_VERSION",
	OIDGenRSSCapabilities:     "OID_GEN_RECEIVE_SCALE_CAPABILITIES", OIDGenRSSParameters: "OID_GEN_RECEIVE_SCALE_PARAMETERS",
	OIDGenLinkState: "OID_GEN_LINK_STATE", OIDGenConfigParameter: "OID_GEN_RNDIS_CONFIG_PARAMETER",
	OIDGenTransmitOK: "OID_GEN_XMIT_OK", OIDGenReceiveOK: "OID_GEN_RCV_OK", OIDGenTransmitError: "OID_GEN_XMIT_ERROR",
	OIDGenReceiveError: "OID_GEN_RCV_ERROR", OIDGenNoBuffer: "OID_GEN_RCV_NO_BUFFER", OIDGenFriendlyName: "OID_GEN_FRIENDLY_NAME",
	OID8023PermanentAddress: "OID_802_3_PERMANENT_ADDRESS", OID8023CurrentAddress: "OID_802_3_CURRENT_ADDRESS",
	OID8023MulticastList: "OID_802_3_MULTICAST_LIST", OID8023MaximumListSize: "OID_802_3_MAXIMUM_LIST_SIZE",
	OIDOffloadEncapsulation:           "OID_OFFLOAD_ENCAPSULATION",
	OIDTCPOffloadCurrentConfig:        "OID_TCP_OFFLOAD_CURRENT_CONFIG",
	OIDTCPOffloadParameters:           "OID_TCP_OFFLOAD_PARAMETERS",
	OIDTCPOffloadHardwareCapabilities: "OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES",
}

// Name gives the object's name in Microsoft's headers, or its number.
func (o OID) Name() string {
	if n := oidNames[o]; n != "" {
		return n
	}
	return o.String()
}
