// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package vmbus holds the layouts and numbers of VMBus: the messages by which
// guest and host agree on channels, and the packets inside a channel's rings.
//
// Messages travel through the hypervisor (HvCallPostMessage to the host, a
// SynIC message slot to the guest), 240 bytes at most, and all begin alike:
//
//	0      4      8
//	+------+------+--------------------+
//	| type |  0   | depends on type    |
//	+------+------+--------------------+
//
// A conversation, guest to the left:
//
//	INITIATE_CONTACT 6.0  ->
//	                      <-  VERSION_RESPONSE (no: ask for an older one)
//	REQUEST_OFFERS        ->
//	                      <-  OFFER_CHANNEL ... ALL_OFFERS_DELIVERED
//	GPADL_HEADER, _BODY   ->                     (the ring's pages)
//	                      <-  GPADL_CREATED
//	OPEN_CHANNEL          ->
//	                      <-  OPEN_CHANNEL_RESULT
//	        packets through the rings, both ways
//	CLOSE_CHANNEL         ->
//	GPADL_TEARDOWN        ->
//	                      <-  GPADL_TORNDOWN
//	UNLOAD                ->
//	                      <-  UNLOAD_COMPLETE
//
// A channel's memory is two rings, each a control page and a data area; the
// first belongs to the guest's packets, the second to the host's:
//
//	+---------+-------------------+---------+-------------------+
//	| control | guest to host ... | control | host to guest ... |
//	+---------+-------------------+---------+-------------------+
//
// A packet in a data area, each part a multiple of 8 bytes:
//
//	0        16                      8*Off8          8*Len8    +8
//	+--------+-----------------------+---------------+---------+
//	| header | ranges (types 7 and 9)| payload       | trailer |
//	+--------+-----------------------+---------------+---------+
//
// The package knows nouns only. When to signal, which version to choose and
// what to refuse is decided by drivers/vmbus and host/vmbus, each on its own.
//
// Sources: sizes and offsets as compiled into Debian's hv_vmbus.ko, read from
// its BTF (testdata/layout-linux-6.1.txt); behaviour and numbers of OpenVMM's
// vmbus_core and vmbus_ring, as facts.
package vmbus
