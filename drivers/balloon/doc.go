// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package balloon is the guest's end of Hyper-V Dynamic Memory: the host takes
// memory from the running guest, and gives it back when it is needed.
//
//	host                              guest
//	                                <- VERSION_REQUEST 2.0, 1.0, 0.3 until accepted
//	                                <- CAPABILITIES_REPORT balloon
//	                                <- STATUS_REPORT each second
//	BALLOON_REQUEST pages           -> Memory.Take
//	                                <- BALLOON_RESPONSE ranges (one or more)
//	UNBALLOON_REQUEST ranges        -> Memory.Give
//	                                <- UNBALLOON_RESPONSE
//
// A page that the host was told of is never touched until the host has given it
// back, and what the host gives back is checked to be its to give. The guest
// keeps a floor of free pages for itself, whatever the host asks for (floor.go).
//
// Memory that is added to a running machine (hot add) is refused: the kernel's
// map of RAM is made once, by the firmware.
//
// Layouts are in internal/wire/dynmem.
package balloon
