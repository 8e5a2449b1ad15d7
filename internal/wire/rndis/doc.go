// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package rndis holds the messages of Remote NDIS as NetVSP speaks it:
// control messages (initialize, query, set, keepalive, halt, indicate status)
// and packet messages, each of which carries one Ethernet frame.
//
//	 0        4        8
//	+--------+--------+----------------------------------------------+
//	| type   | length | body, by type                                |
//	+--------+--------+----------------------------------------------+
//	                  ^ all offsets inside a message count from here
//
// A packet message, with its per-packet information (PPI) between header and
// frame:
//
//	 0      8        44                           DataOffset+8
//	+------+--------+---------------------+------+------------+--------+
//	|header| packet | PPI PPI ...         | (gap)| frame      | padding|
//	+------+--------+---------------------+------+------------+--------+
//	0..................................................... length
//
//	PPI:  | size | type | offset of data | data ... |   offset from the PPI's start
//
// Packet messages may follow one another in one transfer, each at the end
// (length) of the one before.
//
// Sources: Remote NDIS specification 1.1 (Microsoft), [MS-RNDIS]; NDIS object
// layouts from Microsoft's NDIS documentation as published in OpenVMM (netvsp
// rndisprot module) and FreeBSD's sys/dev/hyperv/netvsc/ndis.h; rndis_packet
// size from the BTF of Debian's hv_netvsc module.
package rndis
