// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package vhdx reads and writes virtual disks in Microsoft's VHDX format
// (MS-VHDX), fixed and dynamic.
//
// It stands at both ends of a byte on disk: hvgo build writes the boot disk
// through it, and the test host's StorVSP serves a guest's reads and writes
// from it. A Disk looks like a block device: ReadAt, WriteAt, Flush.
//
// What a crash leaves behind: payload is written straight to its block. A new
// block is entered in the block allocation table (BAT) in memory, and the table
// goes to the file at the next Flush, in this order:
//
//	payload and file length on the medium
//	-> changed sectors of the table in the log, on the medium
//	-> header names the log as in use (first time only), on the medium
//	-> changed sectors of the table in their place
//
// So a file cut off anywhere holds all that was flushed before: either the
// table is whole, or the log mends it when the file is opened next.
//
// The file is not trusted. Every offset, length and count from it is checked
// against the file's size and the format's limits before it is used; every
// checksum is verified; blocks may not overlap each other or a region.
package vhdx
