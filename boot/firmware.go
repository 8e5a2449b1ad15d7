// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/efi"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/trap"
)

// Offsets in the firmware's tables (UEFI 2.10: system table 4.3, boot services
// 4.4, runtime services 4.5, simple text output 12.4, random numbers 37.5).
const (
	sysConOut     = 64
	sysRuntime    = 88
	sysBoot       = 96
	sysTableCount = 104
	sysTables     = 112

	bootGetMemoryMap   = 56
	bootHandleProtocol = 152
	bootExit           = 232
	bootSetWatchdog    = 256
	bootLocateProtocol = 320

	rtGetTime = 24
	rtReset   = 104

	conOutputString = 8
	imageOptionsLen = 48 // 4 bytes (loaded image, 9.1)
	imageOptions    = 56
	rngGetRNG       = 8
)

// Types of memory (UEFI 2.10, 7.2.1).
const (
	memLoaderCode   = 1
	memLoaderData   = 2
	memBootCode     = 3
	memBootData     = 4
	memRuntimeCode  = 5
	memRuntimeData  = 6
	memConventional = 7
	memACPIReclaim  = 9
	memACPINVS      = 10
)

// descriptor is the part of EFI_MEMORY_DESCRIPTOR that version 1 has.
type descriptor struct {
	typ, _        uint32
	start, _      uint64 // physical and virtual address
	pages, attrib uint64
}

// Machine is what the firmware said of the machine. It stays true for its
// whole life.
var Machine struct {
	RSDP, SMBIOS uint64                // physical addresses, 0 where there is none
	SeedSources  uint32                // bits: 1 firmware, 2 RDSEED, 4 RDRAND
	MemoryBytes  uint64                // all RAM, also what the firmware keeps
	Processors   uint32                // that are enabled; 0 if unknown
	APICs        [ring0.MaxCPUs]uint32 // ids of their local APICs
	LoadAddress  uintptr
	Started      int64 // reference time of the guest's start, in ns
}

// firmware is the way to the firmware's services until they are left.
type firmware struct {
	handle, table uintptr
	boot, runtime uintptr
}

// open readies the way out, and reads what does not change.
func (fw *firmware) open() {
	efi.SetReset(word(fw.runtime+rtReset), 0)
	efi.Call(word(fw.boot+bootSetWatchdog), 0, 0, 0, 0, 0)
	fw.tables()
	fw.readMap()
	fw.loadOptions()
}

//go:nosplit
func word(p uintptr) uintptr { return *(*uintptr)(ring0.Pointer(p)) }

// print writes to the firmware's console, which may be a screen.
func (fw *firmware) print(s string) {
	var line [128]uint16
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' {
			line[n] = '\r'
			n++
		}
		line[n] = uint16(s[i])
		n++
		if n >= len(line)-3 || i == len(s)-1 {
			line[n] = 0
			out := word(fw.table + sysConOut)
			if out == 0 {
				return
			}
			efi.Call(word(out+conOutputString), uint64(out), uint64(uintptr(unsafe.Pointer(&line))), 0, 0, 0)
			n = 0
		}
	}
}

// guid is a GUID in the firmware's byte order, as two words.
type guid [2]uint64

var (
	guidACPI2   = guid{0x11d3e4f18868e871, 0x81883cc7800022bc} // 8868e871-e4f1-11d3-bc22-0080c73c8881
	guidSMBIOS3 = guid{0x4a2c9794f2fd1544, 0x94e320cfbbe52e99} // f2fd1544-9794-4a2c-992e-e5bbcf20e394
	guidSMBIOS  = guid{0x11d32d88eb9d2d31, 0x4dc13f279000169a} // eb9d2d31-2d88-11d3-9a16-0090273fc14d
	guidImage   = guid{0x11d295625b1b31a1, 0x3b7269c9a0003f8e} // 5b1b31a1-9562-11d2-8e3f-00a0c969723b
	guidRNG     = guid{0x433deade3152bca5, 0x441f29dc1cc02e86} // 3152bca5-eade-433d-862e-c01cdc291f44
)

// tables finds the ACPI and SMBIOS tables (UEFI 2.10, 4.6).
func (fw *firmware) tables() {
	n := word(fw.table + sysTableCount)
	at := word(fw.table + sysTables)
	for i := uintptr(0); i < min(n, 256); i, at = i+1, at+24 {
		id := *(*guid)(ring0.Pointer(at))
		switch {
		case id == guidACPI2:
			Machine.RSDP = uint64(word(at + 16))
		case id == guidSMBIOS3:
			Machine.SMBIOS = uint64(word(at + 16))
		case id == guidSMBIOS && Machine.SMBIOS == 0:
			Machine.SMBIOS = uint64(word(at + 16))
		}
	}
}

// loadOptions takes the command line, UTF-16 text, from EFI_LOADED_IMAGE_PROTOCOL.
func (fw *firmware) loadOptions() {
	var image uintptr
	status := efi.Call(word(fw.boot+bootHandleProtocol), uint64(fw.handle), uint64(uintptr(unsafe.Pointer(&guidImage))),
		uint64(uintptr(unsafe.Pointer(&image))), 0, 0)
	if status != efi.Success || image == 0 {
		return
	}
	n, at := uint32(word(image+imageOptionsLen)), word(image+imageOptions)
	if n == 0 || at == 0 || n > maxOptions {
		return
	}
	handed.Line.FromUTF16(unsafe.Slice((*byte)(ring0.Pointer(at)), n))
}

// maxOptions bounds the load options, in bytes.
const maxOptions = 64 << 10

// seed asks for 64 random bytes, where the firmware has a generator.
func (fw *firmware) seed() {
	var rng uintptr
	status := efi.Call(word(fw.boot+bootLocateProtocol), uint64(uintptr(unsafe.Pointer(&guidRNG))), 0,
		uint64(uintptr(unsafe.Pointer(&rng))), 0, 0)
	if status != efi.Success || rng == 0 {
		return
	}
	status = efi.Call(word(rng+rngGetRNG), uint64(rng), 0, uint64(len(trap.Seed)),
		uint64(uintptr(unsafe.Pointer(&trap.Seed))), 0)
	if status == efi.Success {
		Machine.SeedSources |= seedFirmware
	}
}

const (
	seedFirmware = 1 << iota
	seedRdseed
	seedRdrand
)

// now is the firmware's wall clock in ns since 1970, 0 when it has none.
func (fw *firmware) now() int64 {
	var t efi.Time
	if efi.Call(word(fw.runtime+rtGetTime), uint64(uintptr(unsafe.Pointer(&t))), 0, 0, 0, 0) != efi.Success {
		return 0
	}
	return t.UnixNano()
}

// mapBytes is room for the memory map: firmware of virtual machines needs a
// tenth of it.
const mapBytes = 32 << 10

var memoryMap struct {
	buffer          [mapBytes]byte
	bytes, perEntry uintptr
}

// readMap gets the memory map, and the key by which the firmware knows this
// reading of it. Without one the map is empty.
func (fw *firmware) readMap() (key uintptr, ok bool) {
	var version uint32
	memoryMap.bytes = mapBytes
	status := efi.Call(word(fw.boot+bootGetMemoryMap), uint64(uintptr(unsafe.Pointer(&memoryMap.bytes))),
		uint64(uintptr(unsafe.Pointer(&memoryMap.buffer))), uint64(uintptr(unsafe.Pointer(&key))),
		uint64(uintptr(unsafe.Pointer(&memoryMap.perEntry))), uint64(uintptr(unsafe.Pointer(&version))))
	if status != efi.Success || memoryMap.bytes > mapBytes || memoryMap.perEntry < unsafe.Sizeof(descriptor{}) {
		memoryMap.bytes = 0
		return 0, false
	}
	return key, true
}

// leave gets the memory map and exits boot services (UEFI 2.10, 7.4.6). The
// firmware refuses when the map changed since it was read: read it again.
func (fw *firmware) leave() bool {
	for range 8 {
		key, ok := fw.readMap()
		if !ok {
			return false
		}
		if efi.Call(word(fw.boot+bootExit), uint64(fw.handle), uint64(key), 0, 0, 0) == efi.Success {
			return true
		}
	}
	return false
}

// entryOf gives descriptor i of the memory map; ok is false behind the last.
//
//go:nosplit
func entryOf(i uintptr) (d *descriptor, ok bool) {
	at := i * memoryMap.perEntry
	if at+memoryMap.perEntry > memoryMap.bytes {
		return nil, false
	}
	return (*descriptor)(unsafe.Add(unsafe.Pointer(&memoryMap.buffer), at)), true
}
