// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package vstor holds the layouts and numbers of the StorVSP protocol: SCSI
// requests carried over a VMBus channel. Both peers use it; it has no behaviour.
//
// Every message, in either direction, is one packet:
//
//	 0          4        8        12                               64
//	+----------+--------+--------+---------------------------------+
//	| operation| flags  | status | payload (52 bytes)              |
//	+----------+--------+--------+---------------------------------+
//
// Before protocol version 5.1 the last 16 bytes of the payload do not exist and
// a packet has 48 bytes. The payload is an SCSI request (Request), the channel
// properties (Properties), a version or a number, depending on the operation.
//
// A block read on its way from drivers/storvsc to host/storvsp is one packet
// with OpExecuteSRB inside a GPA-direct VMBus packet whose range describes the
// data buffer; the answer is one packet with OpCompleteIO inside a completion.
//
// Sources: OpenVMM (storvsp_protocol); the BTF
// of Debian's hv_storvsc.ko (testdata/layout-linux-6.1.txt).
package vstor
