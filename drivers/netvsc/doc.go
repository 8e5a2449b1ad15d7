// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package netvsc drives the synthetic network card: the guest's half of NVSP
// and RNDIS over one VMBus channel.
//
// Inward, the host writes RNDIS messages into the receive buffer and names
// their place in a transfer-page packet; rx.go checks a private copy of the
// headers and hands on the frame where it lies, to be copied once by the
// network stack. Outward, tx.go copies frames once, into a section of the send
// buffer (several frames to a section) or into pages of its own named by a
// GPA-direct packet, and says "no room" when the host has all of them.
//
//	channel.go     what the driver needs of VMBus
//	vmbus.go       a drivers/vmbus channel made to fit
//	negotiate.go   version, NDIS config, buffers, RNDIS, OIDs: straight line
//	nic.go         the card: Open, Start, Transmit, Close, Stats
//	control.go     requests and their answers
//	rx.go, tx.go   data
//
// The host is not trusted. No offset, length, count or transaction ID is used
// unchecked; a bad packet is counted, the first of each kind is logged, and all
// are dropped and still completed, so that the host's accounts stay right.
package netvsc
