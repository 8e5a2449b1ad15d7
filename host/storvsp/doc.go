// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package storvsp is the host's synthetic SCSI controller (StorVSP): a device of
// host/vmbus that serves SCSI commands on disks that lie in a Backend each.
//
//	host/vmbus.Channel --> negotiate.go: BEGIN, VERSION, PROPERTIES, END
//	                   --> request.go:   one EXECUTE_SRB = one job for a worker
//	                   --> disk.go:      the SCSI command on a Backend
//	                   <-- completion with SRB status, SCSI status and sense data
//
// Several workers serve a channel, so requests may be completed in another order than
// they came in. It is strict: packets out of order are refused and reported as broken
// rules, every length is checked against the guest's buffers and the disk.
//
// Behaviour follows OpenVMM's storvsp and scsidisk where SPC-4 and SBC-3 leave a
// choice, above all for LUNs that do not exist.
package storvsp
