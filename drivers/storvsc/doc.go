// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package storvsc drives the synthetic SCSI controller: a VMBus channel on
// which the host's StorVSP serves disks.
//
// On the way of a block it stands between a file system, or a block device
// file, and drivers/vmbus:
//
//	Disk.ReadAt, WriteAt      disk.go    whole blocks; larger transfers split
//	     |            ^
//	     v            |
//	slot: CDB, pages  |       queue.go   slot number = transaction id
//	     |            |
//	     v            |
//	Tx.GPADirect   completion            the host reads or writes our pages
//
// Data is not copied when the caller's memory is aligned to 512 bytes: the
// host gets its page numbers. Such memory must not move during the call, so it
// must not lie on a goroutine's stack. Other memory goes through bounce pages
// (buffer.go).
//
// Several requests are under way at once, of one call and of several callers.
// A host that stops answering is given up after a minute or two: the channel
// is closed, which takes the caller's pages away from the host, and only then
// the calls return.
//
// Layouts are in internal/wire/vstor and internal/wire/scsi.
package storvsc
