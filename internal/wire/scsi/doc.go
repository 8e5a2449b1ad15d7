// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package scsi holds the layouts and numbers of the SCSI commands that a synthetic
// disk serves: command blocks (CDBs), the data they return, and sense data. Both
// peers use it; it has no behaviour. All SCSI numbers are big-endian.
//
// A command block begins with its operation code, whose top three bits give its
// length (6, 10, 12 or 16 bytes). READ(10) for example:
//
//	 0    1       2            6       7         9         10
//	+----+-------+------------+-------+---------+---------+
//	| 28 | flags | LBA        | group | blocks  | control |
//	+----+-------+------------+-------+---------+---------+
//
// A command that fails with status CHECK CONDITION returns sense data (Sense).
//
// Sources: SPC-4 revision 37 and SBC-3 revision 36 (T10), with their section names
// at each structure; OpenVMM (scsi_defs) for what Hyper-V's virtual disk answers.
package scsi
