// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package vhdx holds the structures of a VHDX file (MS-VHDX, protocol revision
// 8.0, section 2) as plain values: sizes, numbers, encode and decode. What the
// values mean to each other, and checksums, is image/vhdx's business.
//
// The file, in 1 MiB steps:
//
//	0        64K      128K     192K          256K          320K    1M
//	+--------+--------+--------+-------------+-------------+-------+-----
//	| file   | header | header | region      | region      | zero  | log, metadata, BAT,
//	| id     |   1    |   2    | table 1     | table 2     |       | payload blocks ...
//	+--------+--------+--------+-------------+-------------+-------+-----
//
// The log is found by the header; metadata and BAT (block allocation table) by
// the region table; block size and disk size by the metadata; the blocks by
// the BAT. All integers are little-endian, all checksums CRC-32C (Castagnoli)
// over the whole structure with the checksum field zero.
package vhdx
