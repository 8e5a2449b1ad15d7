// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package ic is the guest's end of the integration services: small VMBus
// channels by which the host asks something of the guest:
//
//	AttachShutdown   to stop: "Shut down" in Hyper-V Manager, Ctrl-C on hvgo run
//	AttachHeartbeat  whether it is alive
//	AttachTimeSync   to set its clock by the host's
//
// The host speaks first. It names the versions it knows, the guest answers with
// one of each kind, and then the host may send requests, each answered by the
// same message with a status:
//
//	host                              guest
//	NEGOTIATE 1.0 3.0 | 1.0 ... 3.2 ->
//	                                <- NEGOTIATE 3.0 | 3.2
//	SHUTDOWN reason, flags          ->
//	                                <- SHUTDOWN status; then the callback runs
//
// Layouts are in internal/wire/ic.
package ic
