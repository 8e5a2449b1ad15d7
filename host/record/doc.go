// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package record keeps what a guest and the test host said to each other over
// VMBus: every channel message and hypercall of it, every packet of every ring, in
// a file that is only ever appended to. A recording of a foreign guest is what
// our own drivers are compared with.
//
//	host/vmbus -> Recorder -> file -> Reader -> package decode -> text, comparison
//
// # The file
//
// All numbers are little-endian. A file begins with
//
//	0          8         10    12              16           24    32
//	+----------+---------+-----+---------------+------------+-----+
//	| hvgo-rec | version |  0  | payload limit | start time |  0  |
//	+----------+---------+-----+---------------+------------+-----+
//
// (version 1; the payload limit is how many bytes of the guest's memory are kept
// for each packet; the start is in nanoseconds since 1970) and goes on with records:
//
//	0        4      5           6     8         12    16     24
//	+--------+------+-----------+-----+---------+-----+------+------+
//	| length | kind | direction |  0  | channel |  0  | time | body |
//	+--------+------+-----------+-----+---------+-----+------+------+
//
// Length counts the whole record, 24 bytes and the body. Direction is 0 to the host,
// 1 to the guest. Channel is 0 for what belongs to none. Time is in nanoseconds since
// the start. Bodies by kind:
//
//	1 note     text, UTF-8: what was recorded
//	2 channel  interface id (16), instance id (16), sub-channel index u32, bytes of the
//	           guest-to-host and of the host-to-guest ring, u32 each: it was opened
//	3 message  connection id (to the host) or VP (to the guest) u32, SINT u32, the message
//	4 refused  connection id u32, hypercall status u32: the message before was not taken
//	5 signal   connection id or VP u32, flag u32, hypercall status u32
//	6 packet   the ring's control words in, out, interrupt mask, pending send size and
//	           feature bits, u32 each, as they are while the packet is in the ring;
//	           offset of the packet in the ring u32; trailer (8); bytes of the guest's
//	           memory that it names u32; size of the packet u32; the packet without its
//	           trailer; the first of those bytes of memory
//	7 memory   origin u32 (1 GPADL, 2 pages of a packet that is being completed), GPADL
//	           id or transaction u64, offset in it u64, bytes in all u32, the first of them
//	8 limit    nothing: the file has reached its size limit, and ends here
//	9 rule     text: a rule that the guest broke
//
// A reader skips kinds that it does not know. A file that ends within a record was
// cut; what stands before is good.
package record
