// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"sync/atomic"
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/power"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/serial"
)

// crashSignature is P0 of the crash report: "HVGO".
const crashSignature = 0x4f475648

// vmbusConnection is the connection that an UNLOAD goes to; 0 when VMBus is not
// connected, or was told already. Guarded by the kernel lock.
var vmbusConnection uint32

// postMessage posts a message of the VMBus driver's. A host that is told UNLOAD twice
// has a guest that breaks the rules: one that was slow to answer would be.
//
//go:nosplit
func postMessage(connection uint32, payload, n uintptr) tlfs.Status {
	status := hv.PostMessage(connection, payload, n)
	if status == tlfs.StatusSuccess {
		vmbusConnection = connection
		if n >= 4 && *(*uint32)(ring0.Pointer(payload)) == msgUnload {
			vmbusConnection = 0
		}
	}
	return status
}

// Messages of the end (internal/wire/vmbus, which trap context does not import:
// UNLOAD and UNLOAD_COMPLETE).
const (
	msgUnload         = 16
	msgUnloadComplete = 17
)

// unload is the message UNLOAD.
var unload = [2]uint32{msgUnload, 0}

// reply holds a message while we wait for the answer; too large for the trap
// stack's budget.
var reply [tlfs.MessagePayloadSize]byte

// unloadWait bounds the wait for the answer, in ns.
const unloadWait = 1_000_000_000

// Restart makes the program's end a new start of the machine, if it ends well.
var Restart bool

// crashText holds the console's last words for the host. It is a page of its
// own so that its physical address is one. PrepareCrash sets it.
var crashText uint64

// powerOff ends the machine with the program's exit status. It does not return. The
// first processor does the work, since VMBus's messages come to it.
//
//go:nosplit
func powerOff(status uint64) {
	ring0.Cli()
	stopOthers()
	if c := ring0.This(); c.ID != 0 && atomic.LoadUintptr(&ring0.CPUAt(0).Stopped) != 0 {
		endStatus = status
		endAsked.Store(1)
		ring0.StopForever()
	}
	finish(status)
}

// finish says goodbye to the host and switches off.
//
//go:nosplit
func finish(status uint64) {
	if vmbusConnection != 0 {
		unloadVMBus()
	}
	if status != 0 && crashText != 0 {
		n := serial.LastText(mem.Phys(crashText))
		hv.Crash(crashSignature, status, crashed.RIP, crashText, uint64(n))
	}
	hv.Shutdown()
	if status == 0 && Restart {
		power.Restart()
	}
	power.Off(status == 0)
}

// unloadVMBus tells the host to forget us, and waits a moment for its answer.
//
//go:nosplit
func unloadVMBus() {
	connection := vmbusConnection
	vmbusConnection = 0
	end := hv.Now() + unloadWait
	for hv.PostMessage(connection, uintptr(unsafe.Pointer(&unload)), unsafe.Sizeof(unload)) == tlfs.StatusInsufficientBuffers && hv.Now() < end {
		hv.TakeMessage(tlfs.SINTVMBus, 0)
	}
	for hv.Now() < end {
		typ, n := hv.TakeMessage(tlfs.SINTVMBus, uintptr(unsafe.Pointer(&reply)))
		if typ != 0 && n >= 4 && *(*uint32)(unsafe.Pointer(&reply)) == msgUnloadComplete {
			return
		}
		ring0.Pause()
	}
}
