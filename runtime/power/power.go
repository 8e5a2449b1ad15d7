// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package power ends the machine by what it has: the services of its UEFI firmware,
// or the registers that ACPI tells of. It is the last step of a program's way out:
// nosplit, trap context.
package power

import (
	"github.com/hvgo/hvgo/runtime/acpi"
	"github.com/hvgo/hvgo/runtime/efi"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/serial"
)

// Off switches the machine off, and tells firmware whether all went well. Where
// nothing switches it off, that is said on the console, and it halts.
//
//go:nosplit
func Off(ok bool) {
	status := uint64(efi.Success)
	if !ok {
		status = efi.Aborted
	}
	ring0.Cli()
	efi.Reset(efi.Shutdown, status)
	acpi.Off()
	stop("switched off")
}

// Restart starts the machine anew. Where nothing does, that is said on the console,
// and it halts.
//
//go:nosplit
func Restart() {
	ring0.Cli()
	efi.Reset(efi.Cold, efi.Success)
	acpi.Reset()
	stop("started anew")
}

//go:nosplit
func stop(what string) {
	serial.Print("hvgo: this machine cannot be ")
	serial.Print(what)
	serial.Print(" from inside: it has no UEFI, and its ACPI tables name no way that works; it is halted now\n")
	ring0.StopForever()
}
