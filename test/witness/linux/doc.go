// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package linux holds the tests that boot kernels of Debian's on the test host,
// unmodified and with their own drivers for Hyper-V: nobody here wrote the other side
// of what the host speaks.
//
//	mkinitrd     makes DIR/vmlinuz-SERIES and DIR/initrd-SERIES.img (scripts/witness)
//	guest        PID 1: does tasks that the kernel's command line names
//	report       what the guest tells the test, on the serial console
//	boot_test.go starts a guest and collects its reports
//	image        looks at the disk from outside, by tools that are not inside
//
// A new thing to exercise is a task in guest/tasks.go and a test here that boots with
// it. HVGO_TEST_LINUX names DIR.
package linux
