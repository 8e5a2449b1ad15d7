// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package netvsp is the host's synthetic network card (NetVSP): a device of
// host/vmbus that speaks NVSP and RNDIS with the guest and exchanges Ethernet
// frames with a network of the caller's (Frames), such as host/usernet.
//
//	host/vmbus.Channel --> queue.go:     one packet of the guest's at a time
//	                   --> session.go, negotiate.go: version, NDIS config, shared buffers
//	                   --> control.go:   RNDIS requests; oid.go, offload.go
//	                   --> transmit.go:  frames of the guest's --> large.go --> Frames.Transmit
//	NIC.Deliver --> rss.go: which channel --> bounded queue
//	                   --> deliver.go:   frames in the receive buffer, several in one
//	                                     transfer --> guest
//
// A guest may ask for sub-channels (Options.Queues). What it sends it may send on any
// of them; where its frames come in is chosen by receive-side scaling, once the guest
// has set that. All channels share the two buffers.
//
// The receive buffer is divided into equal slots, one frame in each. A slot is
// the guest's from the transfer until the guest completes it. While the guest has
// all slots the queue fills, and Deliver refuses: back-pressure reaches the
// network, and nothing is lost in between.
//
// The card is strict: messages out of order are refused, every length, index and
// offset of the guest's is checked against memory that it shared, and each broken
// rule is reported by name (Rule constants) to the server's Options.Strict. All
// that the guest wrote is copied before it is looked at.
//
// Behaviour follows OpenVMM's netvsp where Microsoft's documents are silent.
package netvsp
