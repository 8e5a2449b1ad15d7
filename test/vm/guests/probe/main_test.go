// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

// TestOnLinux asks Linux what the VM tests ask of hvgo's runtime: a command that
// fails here is wrong itself.
func TestOnLinux(t *testing.T) {
	for _, name := range []string{
		"gc", "dontneed", "protect", "stacks", "syscall-stacks", "preempt", "timers", "clock", "nil", "channels", "signals", "cpu", "vdso", "clock-order",
		"profile", "profile-stress", "intervals",
		"files", "devices", "pipes", "loopback", "udp", "sockets", "half-close", "deadlines",
	} {
		t.Run(name, func(t *testing.T) {
			detail, err := commands[name](nil)
			t.Log(detail)
			if err != nil {
				t.Error(err)
			}
		})
	}
}
