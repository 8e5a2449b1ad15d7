// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import "github.com/hvgo/hvgo/runtime/trap"

// watchConsole makes SIGINT of each Ctrl-C on the console, with the disks flushed
// before: unless the program handles it, it is its end.
func (m *machine) watchConsole() {
	typed, err := newEvent("interrupts")
	if err != nil {
		say("console: %v: Ctrl-C does not flush the disks", err)
		return
	}
	trap.Kernel(trap.KernelInterrupts, typed.Fd(), 0, 0)
	go func() {
		var count [8]byte
		for {
			if _, err := typed.Read(count[:]); err != nil {
				return
			}
			m.flush()
			trap.Kernel(trap.KernelSignal, 2, 0, 0)
		}
	}()
}
