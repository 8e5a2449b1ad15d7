// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"hash/crc32"
	"unicode/utf16"

	"github.com/hvgo/hvgo/internal/guid"
)

// tables are the addresses of what the system table leads to.
type tables struct {
	system, boot, runtime, configs uint64
	runtimeStubs                   uint64
}

// Places of the protocols' functions in the boot stub page, behind the boot services.
const (
	stubTextOut = 64
	stubTextIn  = 80
	stubRNG     = 88
	stubInitrd  = 96
)

const (
	bootServiceCount    = 44
	runtimeServiceCount = 14
)

// buildSystemTable lays out the system table, both service tables, the loaded
// image, the console and the random number protocol.
func (f *Firmware) buildSystemTable() error {
	stubs, err := f.placeStubs(portBoot, memBootCode)
	if err != nil {
		return err
	}
	if f.tables.runtimeStubs, err = f.placeStubs(portRuntime, memRuntimeCode); err != nil {
		return err
	}
	boot, b, err := f.place(pageSize, memBootData)
	if err != nil {
		return err
	}
	putTable(b, bootTableSignature, stubs, 0, bootServiceCount)
	rt, r, err := f.place(2*pageSize, memRuntimeData)
	if err != nil {
		return err
	}
	putTable(r, runtimeTableSignature, f.tables.runtimeStubs, 0, runtimeServiceCount)
	const systemAt, configAt, vendorAt = 0x400, 0x800, 0x1000
	f.tables.runtime, f.tables.boot = rt, boot
	f.tables.system, f.tables.configs = rt+systemAt, rt+configAt
	copy(r[vendorAt:], utf16String("hvgo"))

	const consoleAt = 0x400
	console := boot + consoleAt
	f.buildConsole(b[consoleAt:], console, stubs)
	f.buildImageProtocol(b[0x600:], boot+0x600, boot+0x700, b[0x700:])
	if !f.cfg.NoRNG {
		putPointers(b[0x580:], stubs+stubRNG*stubSize, 2)
		f.addProtocol("EFI_RNG_PROTOCOL", boot+0x580, guidRNG, boot+0x580)
	}

	if f.cfg.Initrd != nil {
		putPointers(b[0x5C0:], stubs+stubInitrd*stubSize, 1)
		f.addProtocol("EFI_LOAD_FILE2_PROTOCOL", boot+0x5C0, guidLoadFile2, boot+0x5C0)
	}

	s := r[systemAt:]
	le.PutUint64(s[systemVendor:], rt+vendorAt)
	le.PutUint32(s[systemVendorRev:], 1)
	le.PutUint64(s[systemConInHandle:], console)
	le.PutUint64(s[systemConIn:], console+0x100)
	le.PutUint64(s[systemConOutHandle:], console)
	le.PutUint64(s[systemConOut:], console)
	le.PutUint64(s[systemStdErrHandle:], console)
	le.PutUint64(s[systemStdErr:], console)
	le.PutUint64(s[systemRuntime:], rt)
	le.PutUint64(s[systemBoot:], boot)
	le.PutUint64(s[systemConfig:], f.tables.configs)
	sealTable(s, systemTableSignature, systemTableSize)
	return nil
}

// buildConsole makes EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL at at (nine functions and
// the mode) and EFI_SIMPLE_TEXT_INPUT_PROTOCOL 256 bytes on (UEFI 12.3, 12.4).
func (f *Firmware) buildConsole(b []byte, at, stubs uint64) {
	putPointers(b, stubs+stubTextOut*stubSize, 9)
	const modeAt = 0x80
	le.PutUint64(b[72:], at+modeAt)
	le.PutUint32(b[modeAt:], 1)      // MaxMode
	le.PutUint32(b[modeAt+8:], 0x07) // Attribute: light grey on black
	putPointers(b[0x100:], stubs+stubTextIn*stubSize, 2)
	f.addProtocol("EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL", at, guidTextOutput, at)
	f.addProtocol("EFI_SIMPLE_TEXT_INPUT_PROTOCOL", at, guidTextInput, at+0x100)
}

// buildImageProtocol makes EFI_LOADED_IMAGE_PROTOCOL (UEFI 9.1), whose address is
// also the image handle.
func (f *Firmware) buildImageProtocol(b []byte, at, optionsAt uint64, options []byte) {
	opts := utf16String(f.cfg.LoadOptions)
	opts = opts[:min(len(opts), len(options))]
	copy(options, opts)
	le.PutUint32(b, 0x1000) // EFI_LOADED_IMAGE_PROTOCOL_REVISION
	le.PutUint64(b[16:], f.tables.system)
	if f.cfg.LoadOptions != "" {
		le.PutUint32(b[48:], uint32(len(opts)))
		le.PutUint64(b[56:], optionsAt)
	}
	le.PutUint64(b[64:], f.image.base)
	le.PutUint64(b[72:], f.image.size)
	le.PutUint32(b[80:], memLoaderCode)
	le.PutUint32(b[84:], memLoaderData)
	f.image.handle = at
	f.addProtocol("EFI_LOADED_IMAGE_PROTOCOL", at, guidLoadedImage, at)
}

func (f *Firmware) addProtocol(name string, handle uint64, id guid.GUID, iface uint64) {
	f.protocols = append(f.protocols, protocol{handle, id, iface, name})
}

// addConfig puts a table into the configuration table, or replaces it there. An
// address of 0 takes it out.
func (f *Firmware) addConfig(id guid.GUID, addr uint64) (status uint64) {
	s, err1 := f.ram.Bytes(f.tables.system, systemTableSize)
	b, err2 := f.ram.Bytes(f.tables.configs, maxConfigs*configEntrySize)
	if err1 != nil || err2 != nil {
		return efiDeviceError
	}
	n := min(le.Uint64(s[systemConfigEntries:]), maxConfigs) // the guest can write there
	i := uint64(0)
	for i < n && guid.GUID(b[i*configEntrySize:][:16]) != id {
		i++
	}
	switch {
	case addr == 0 && i == n:
		return efiNotFound
	case addr == 0:
		copy(b[i*configEntrySize:], b[(i+1)*configEntrySize:n*configEntrySize])
		n--
	case i == maxConfigs:
		return efiOutOfResources
	default:
		e := b[i*configEntrySize:]
		copy(e, id[:])
		le.PutUint64(e[16:], addr)
		n = max(n, i+1)
	}
	le.PutUint64(s[systemConfigEntries:], n)
	sealTable(s, systemTableSignature, systemTableSize)
	return efiSuccess
}

// putTable fills a service table: header and count pointers to stubs.
func putTable(b []byte, signature, stubs uint64, first, count int) {
	putPointers(b[tableHeader:], stubs+uint64(first*stubSize), count)
	sealTable(b, signature, tableHeader+8*count)
}

// putPointers writes the addresses of count stubs in a row.
func putPointers(b []byte, stub uint64, count int) {
	for i := range count {
		le.PutUint64(b[8*i:], stub+uint64(i*stubSize))
	}
}

// sealTable writes a table's header with its checksum over size bytes.
func sealTable(b []byte, signature uint64, size int) {
	le.PutUint64(b, signature)
	le.PutUint32(b[headerRevision:], efiRevision)
	le.PutUint32(b[headerLength:], uint32(size))
	le.PutUint32(b[headerCRC:], 0)
	le.PutUint32(b[headerCRC:], crc32.ChecksumIEEE(b[:size]))
}

// utf16String encodes s with a terminating zero.
func utf16String(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = le.AppendUint16(b, u)
	}
	return append(b, 0, 0)
}
