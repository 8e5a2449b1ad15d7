// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package nvsp holds the messages of NVSP, the protocol by which a guest's
// network client (netvsc) and the host's network provider (NetVSP) set up
// shared buffers and hand RNDIS messages to each other over a VMBus channel.
//
// Every NVSP message is the body of one VMBus packet:
//
//	 0        4                                            28        40
//	+--------+----------------------------------------------+---------+
//	| type   | body, by type                                | 6.1 only|
//	+--------+----------------------------------------------+---------+
//
// Up to version 6.0 a message is 28 bytes long, from 6.1 on 40, whatever its
// type; VMBus rounds both up to a multiple of 8. Receivers read the part they
// know and ignore the rest.
//
// An Ethernet frame on its way in: the host writes an RNDIS message into a
// part of the receive buffer and sends SendRNDISPacket in a transfer-page
// packet naming that part; the guest answers with SendRNDISPacketComplete when
// the part may be written again. On its way out the frame lies in a section of
// the send buffer, named by index, or in any guest page, named by a GPA-direct
// packet.
//
// Sources: Microsoft's NVSP declarations as published in OpenVMM (netvsp
// protocol module) and FreeBSD's sys/dev/hyperv/netvsc/if_hnreg.h; sizes of
// nvsp_message and of its bodies from the BTF of Debian's hv_netvsc module.
package nvsp
