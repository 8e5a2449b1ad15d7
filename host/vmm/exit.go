// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import "fmt"

// ExitKind says how a VM's run ended.
type ExitKind int

// The ways a run ends.
const (
	Stopped     ExitKind = iota // by Stop or the context
	Shutdown                    // the guest switched itself off
	Reset                       // the guest asked for a restart
	Crash                       // the guest reported a crash through the crash MSRs
	TripleFault                 // a processor shut down for want of a working fault handler
	Failed                      // the host could not go on; Run's error says why
)

var exitKinds = [...]string{"stopped", "shutdown", "reset", "crash", "triple fault", "failed"}

// String returns the kind in words.
func (k ExitKind) String() string {
	if k < 0 || int(k) >= len(exitKinds) {
		return fmt.Sprintf("ExitKind(%d)", int(k))
	}
	return exitKinds[k]
}

// Exit is the end of a VM's run.
type Exit struct {
	Kind ExitKind

	// Status is the EFI status the guest gave with Shutdown or Reset; 0 is success.
	Status uint64

	// Params are the crash parameters P0 to P4, Message the text P3 and P4 named,
	// if they did; for Crash only.
	Params  [5]uint64
	Message string

	// Detail describes the processor at the end (registers, instruction); for
	// TripleFault and Crash.
	Detail string
}

// String returns the exit on one line, without Detail.
func (e Exit) String() string {
	switch {
	case e.Kind == Crash:
		return fmt.Sprintf("crash %#x %q", e.Params, e.Message)
	case (e.Kind == Shutdown || e.Kind == Reset) && e.Status != 0:
		return fmt.Sprintf("%s, status %#x", e.Kind, e.Status)
	}
	return e.Kind.String()
}
