// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package netstack is TCP/IP: gVisor's stack between a network card below and
// the sockets of the Linux ABI above.
//
// A received frame is copied once, out of memory that the host may still write
// to, into a packet buffer of the stack's (link.go); TCP sorts it into a
// stream; socket.go hands the bytes to the caller's slice and turns the stack's
// notifications into readiness. Outward, Send copies into the stack's buffers,
// and the card copies from there into memory the host sees.
//
//	nic.go       what the stack needs of a card
//	link.go      the card as gVisor's link endpoint, with back-pressure
//	stack.go     protocols, loopback, addresses and routes
//	dhcp.go      the DHCPv4 client, with dhcpconn.go beneath it
//	resolv.go    what the lease says about names
//	socket.go    sockets; sockopt.go, addr.go and errno.go beside it
//	shortcut.go  bytes of the machine's connections with itself pass TCP by
//
// IPv6 is there on the loopback interface only; an AF_INET6 socket that is not
// IPV6_V6ONLY speaks IPv4 as well.
package netstack
