// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package vm holds the tests that boot whole guests: images made by hvgo build, on
// the machine that hvgo run makes. It has no code of its own.
//
//	quirks_test.go   the hosts a guest may meet (package host/quirk)
//	boot_test.go     load addresses, memory sizes, other hypervisors
//	hello_test.go    examples/hello over HTTP
//	probe_test.go    guests/probe: runtime, disks and network from the inside
//	command_test.go  the hvgo run process
//	hostile_test.go  wrong system calls (package test/hostile), beside Linux
//
// `make vm-test` builds the images and runs these tests where KVM has Hyper-V
// (hvgo vm-test); elsewhere they skip. The environment names what was built:
// HVGO_TEST_IMAGE (hello), HVGO_TEST_PROBE and HVGO_TEST_COMMAND (hvgo).
package vm
