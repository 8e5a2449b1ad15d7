// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package nvsp

import "fmt"

var typeNames = map[Type]string{
	TypeNone: "NONE", TypeInit: "INIT", TypeInitComplete: "INIT_COMPLETE",
	TypeSendNDISVersion: "SEND_NDIS_VERSION", TypeSendReceiveBuffer: "SEND_RECEIVE_BUFFER",
	TypeSendReceiveBufferComplete: "SEND_RECEIVE_BUFFER_COMPLETE", TypeRevokeReceiveBuffer: "REVOKE_RECEIVE_BUFFER",
	TypeSendSendBuffer: "SEND_SEND_BUFFER", TypeSendSendBufferComplete: "SEND_SEND_BUFFER_COMPLETE",
	TypeRevokeSendBuffer: "REVOKE_SEND_BUFFER", TypeSendRNDISPacket: "SEND_RNDIS_PACKET",
	TypeSendRNDISPacketComplete: "SEND_RNDIS_PACKET_COMPLETE", TypeSendNDISConfig: "SEND_NDIS_CONFIG",
	TypeSendVFAssociation: "SEND_VF_ASSOCIATION", TypeSwitchDataPath: "SWITCH_DATA_PATH",
	TypeOIDQueryEx: "OID_QUERY_EX", TypeOIDQueryExComplete: "OID_QUERY_EX_COMPLETE", TypeSubChannel: "SUB_CHANNEL",
	TypeSendIndirectionTable: "SEND_INDIRECTION_TABLE", TypePDAPI: "PD_API", TypePDPostBatch: "PD_POST_BATCH",
}

// String gives the message's name, or its number.
func (t Type) String() string {
	if n := typeNames[t]; n != "" {
		return n
	}
	return fmt.Sprintf("message %d", uint32(t))
}
