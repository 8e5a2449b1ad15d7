// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package usernet is a network for one guest that needs no rights on the host: a
// TCP/IP stack in this process plays the gateway, and the host's ordinary sockets
// play the world.
//
//	card --frame--> filter.go: what a gateway would take
//	            --> dhcp.go:     leases one address, by frames
//	            --> gVisor stack (link.go): ARP, ICMP echo of the gateway, TCP, UDP
//	                 --> dns.go:      names, asked of the host's resolver
//	                 --> outbound.go: connections out, by the host's sockets
//	host's clients --> publish.go: ports of the guest's on the host
//	relay.go copies between the two ends of a connection
//
// Addresses are, unless Options say otherwise:
//
//	192.168.127.0/24   the network
//	192.168.127.1      gateway, DNS and DHCP server; its other ports are those of the
//	                   host's loopback interface (unless Options.NoLoopback): a guest
//	                   can reach what listens there
//	192.168.127.2      the guest
//
// Connections to addresses outside the network go out from the host as they are.
// What has no socket to stand for it is dropped and counted: other protocols, echo
// requests beyond the gateway, broadcasts but DHCP, IPv6.
//
// # Published ports
//
// Publish listens on the host at once, so that a port in use is an error before the
// guest starts. A client that connects while the guest still boots waits: for the
// lease up to Options.LeaseWait, and after it for the program to listen up to
// Options.ListenWait. Somebody who typed curl right after starting the guest wants
// the answer, not "connection refused". From the first answered connection on, a port
// where nobody listens refuses at once (by a reset), as a real one does. The guest sees
// all these connections coming from the gateway.
package usernet
