// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"time"
	"unicode/utf16"

	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/guid"
)

// Kinds of AllocatePages, UEFI 7.2.1.
const (
	allocateAny = iota
	allocateMax
	allocateAddress
)

// validKind reports whether a guest may allocate memory of this type.
func validKind(kind uint64) bool {
	return kind < memMax && kind != memConventional || kind >= memOEM && kind <= 0xFFFFFFFF
}

// allocatePages(type, memory type, pages, *address)
func (f *Firmware) allocatePages(k *call) uint64 {
	how, kind, pages, at := k.regs.RCX&0xFFFFFFFF, k.regs.RDX&0xFFFFFFFF, k.regs.R8, k.regs.R9
	want, ok := k.read64(at)
	if !ok || !validKind(kind) || pages == 0 {
		return efiInvalidParameter
	}
	if pages > f.ram.Size()/pageSize {
		return efiOutOfResources
	}
	size := pages * pageSize
	var addr uint64
	switch how {
	case allocateAny:
		addr, ok = f.mem.find(size, pageSize, ^uint64(0))
	case allocateMax:
		limit := want + 1
		if limit == 0 {
			limit = want
		}
		addr, ok = f.mem.find(size, pageSize, limit&^(pageSize-1))
	case allocateAddress:
		if want%pageSize != 0 || want+size < want || !f.mem.free(want, want+size) {
			return efiNotFound
		}
		addr = want
	default:
		return efiInvalidParameter
	}
	if !ok {
		return efiOutOfResources
	}
	if !k.write64(at, addr) {
		return efiInvalidParameter
	}
	f.mem.set(span{start: addr, end: addr + size, kind: uint32(kind), guest: true})
	return efiSuccess
}

// freePages(address, pages)
func (f *Firmware) freePages(k *call) uint64 {
	addr, pages := k.regs.RCX, k.regs.RDX
	if addr%pageSize != 0 || pages == 0 || pages > f.ram.Size()/pageSize {
		return efiInvalidParameter
	}
	end := addr + pages*pageSize
	if end < addr || !f.mem.is(addr, end, func(s span) bool { return s.guest }) {
		return efiNotFound
	}
	f.mem.set(span{start: addr, end: end, kind: memConventional})
	return efiSuccess
}

// getMemoryMap(*size, map, *key, *descriptor size, *descriptor version)
func (f *Firmware) getMemoryMap(k *call) uint64 {
	size, ok1 := k.read64(k.regs.RCX)
	version, ok2 := k.arg(4)
	if !ok1 || !ok2 {
		return efiInvalidParameter
	}
	b := f.mem.descriptors()
	if !k.write64(k.regs.RCX, uint64(len(b))) {
		return efiInvalidParameter
	}
	if k.regs.R9 != 0 && !k.write64(k.regs.R9, descriptorSize) {
		return efiInvalidParameter
	}
	if version != 0 && !k.write(version, le.AppendUint32(nil, descriptorVersion)) {
		return efiInvalidParameter
	}
	if size < uint64(len(b)) {
		return efiBufferTooSmall
	}
	return written(k.write(k.regs.RDX, b), k.write64(k.regs.R8, f.mem.key))
}

// allocatePool(memory type, size, **buffer)
func (f *Firmware) allocatePool(k *call) uint64 {
	kind, size := k.regs.RCX&0xFFFFFFFF, k.regs.RDX
	if !validKind(kind) || k.regs.R8 == 0 {
		return efiInvalidParameter
	}
	if size > f.ram.Size() {
		return efiOutOfResources
	}
	size = roundUp(max(size, 1))
	addr, ok := f.mem.find(size, pageSize, ^uint64(0))
	if !ok {
		return efiOutOfResources
	}
	if !k.write64(k.regs.R8, addr) {
		return efiInvalidParameter
	}
	f.mem.set(span{start: addr, end: addr + size, kind: uint32(kind), guest: true})
	f.pools[addr] = size
	return efiSuccess
}

// freePool(buffer)
func (f *Firmware) freePool(k *call) uint64 {
	size, ok := f.pools[k.regs.RCX]
	if !ok || !f.mem.is(k.regs.RCX, k.regs.RCX+size, func(s span) bool { return s.guest }) {
		return efiInvalidParameter
	}
	delete(f.pools, k.regs.RCX)
	f.mem.set(span{start: k.regs.RCX, end: k.regs.RCX + size, kind: memConventional})
	return efiSuccess
}

// handleProtocol(handle, *GUID, **interface); OpenProtocol begins with the same arguments.
func (f *Firmware) handleProtocol(k *call) uint64 {
	id, ok := k.readGUID(k.regs.RDX)
	if !ok || k.regs.R8 == 0 {
		return efiInvalidParameter
	}
	for _, p := range f.protocols {
		if p.handle == k.regs.RCX && p.guid == id {
			return written(k.write64(k.regs.R8, p.iface))
		}
	}
	k.write64(k.regs.R8, 0)
	return efiUnsupported
}

// locateProtocol(*GUID, registration, **interface)
func (f *Firmware) locateProtocol(k *call) uint64 {
	id, ok := k.readGUID(k.regs.RCX)
	if !ok || k.regs.R8 == 0 {
		return efiInvalidParameter
	}
	for _, p := range f.protocols {
		if p.guid == id {
			return written(k.write64(k.regs.R8, p.iface))
		}
	}
	k.write64(k.regs.R8, 0)
	return efiNotFound
}

// search finds handles for LocateHandle: all (0) or those of a protocol (2).
func (f *Firmware) search(k *call) ([]byte, uint64) {
	const all, byProtocol = 0, 2
	var id guid.GUID
	switch how := k.regs.RCX & 0xFFFFFFFF; how {
	case all:
	case byProtocol:
		var ok bool
		if id, ok = k.readGUID(k.regs.RDX); !ok {
			return nil, efiInvalidParameter
		}
	default:
		return nil, efiNotFound // by registration: nobody can have registered
	}
	var b []byte
	seen := map[uint64]bool{}
	for _, p := range f.protocols {
		if (p.guid == id || k.regs.RCX&0xFFFFFFFF == all) && !seen[p.handle] {
			seen[p.handle] = true
			b = le.AppendUint64(b, p.handle)
		}
	}
	if len(b) == 0 {
		return nil, efiNotFound
	}
	return b, efiSuccess
}

// locateHandle(search type, *GUID, key, *size, buffer)
func (f *Firmware) locateHandle(k *call) uint64 {
	size, ok1 := k.read64(k.regs.R9)
	buffer, ok2 := k.arg(4)
	if !ok1 || !ok2 {
		return efiInvalidParameter
	}
	b, status := f.search(k)
	if status != efiSuccess {
		return status
	}
	if !k.write64(k.regs.R9, uint64(len(b))) {
		return efiInvalidParameter
	}
	if size < uint64(len(b)) {
		return efiBufferTooSmall
	}
	return written(k.write(buffer, b))
}

// locateHandleBuffer(search type, *GUID, key, *count, **buffer)
func (f *Firmware) locateHandleBuffer(k *call) uint64 {
	buffer, ok := k.arg(4)
	if !ok {
		return efiInvalidParameter
	}
	b, status := f.search(k)
	if status != efiSuccess {
		return status
	}
	addr, ok := f.mem.find(pageSize, pageSize, ^uint64(0))
	if !ok {
		return efiOutOfResources
	}
	if st := written(k.write64(k.regs.R9, uint64(len(b)/8)), k.write64(buffer, addr), k.write(addr, b)); st != efiSuccess {
		return st
	}
	f.mem.set(span{start: addr, end: addr + pageSize, kind: memBootData, guest: true})
	f.pools[addr] = pageSize
	return efiSuccess
}

// installConfigurationTable(*GUID, table)
func (f *Firmware) installConfigurationTable(k *call) uint64 {
	id, ok := k.readGUID(k.regs.RCX)
	if !ok {
		return efiInvalidParameter
	}
	return f.addConfig(id, k.regs.RDX)
}

// exitImage(handle, status, size, data): the application is done.
func (f *Firmware) exitImage(k *call) uint64 {
	if k.regs.RCX != f.image.handle {
		return efiInvalidParameter
	}
	f.log.Warn("the application exited to the firmware", "status", fmt.Sprintf("%#x", k.regs.RDX))
	f.vm.End(vmm.Exit{Kind: vmm.Shutdown, Status: k.regs.RDX})
	return efiSuccess
}

// exitBootServices(handle, key)
func (f *Firmware) exitBootServices(k *call) uint64 {
	if k.regs.RCX != f.image.handle {
		return efiInvalidParameter
	}
	if f.staleOnce {
		f.staleOnce = false
		if _, err := f.mem.allocate(pageSize, memBootData, ^uint64(0)); err != nil {
			f.mem.key++
		}
	}
	if k.regs.RDX != f.mem.key {
		return efiInvalidParameter
	}
	f.exited = true
	s, err := f.ram.Bytes(f.tables.system, systemTableSize)
	if err != nil {
		return efiDeviceError
	}
	clear(s[systemConInHandle:systemRuntime]) // the console is gone, and so are
	clear(s[systemBoot:systemConfigEntries])  // the boot services (UEFI 7.4.6)
	sealTable(s, systemTableSignature, systemTableSize)
	return efiSuccess
}

// stall(microseconds)
func (f *Firmware) stall(k *call) uint64 {
	const most = 3600_000_000 // an hour: a mistake of the guest
	select {
	case <-time.After(time.Duration(min(k.regs.RCX, most)) * time.Microsecond):
	case <-f.vm.Done():
	}
	return efiSuccess
}

// maxCopy bounds what CopyMem, SetMem, CalculateCrc32 and GetRNG work on in one call.
const maxCopy = 64 << 20

// calculateCRC32(data, size, *crc)
func (f *Firmware) calculateCRC32(k *call) uint64 {
	if k.regs.RDX == 0 || k.regs.RDX > maxCopy {
		return efiInvalidParameter
	}
	h := crc32.NewIEEE()
	if err := k.c.EachPage(k.regs.RCX, k.regs.RDX, false, func(b []byte) { h.Write(b) }); err != nil {
		return efiInvalidParameter
	}
	return written(k.write(k.regs.R8, le.AppendUint32(nil, h.Sum32())))
}

// copyMem(destination, source, length)
func (f *Firmware) copyMem(k *call) uint64 {
	if k.regs.R8 > maxCopy {
		return efiInvalidParameter
	}
	b := make([]byte, k.regs.R8)
	if err := k.c.ReadVirtual(k.regs.RDX, b); err != nil {
		return efiInvalidParameter
	}
	return written(len(b) == 0 || k.write(k.regs.RCX, b))
}

// setMem(buffer, size, value)
func (f *Firmware) setMem(k *call) uint64 {
	if k.regs.RDX > maxCopy {
		return efiInvalidParameter
	}
	b := bytes.Repeat([]byte{byte(k.regs.R8)}, int(k.regs.RDX))
	return written(len(b) == 0 || k.write(k.regs.RCX, b))
}

// maxString bounds a string for OutputString, in UTF-16 units.
const maxString = 64 << 10

// outputString(this, string)
func (f *Firmware) outputString(k *call) uint64 {
	var units []uint16
	for va := k.regs.RDX; ; va += 2 {
		var b [2]byte
		if k.c.ReadVirtual(va, b[:]) != nil || len(units) == maxString {
			return efiInvalidParameter
		}
		u := le.Uint16(b[:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	if _, err := io.WriteString(f.cfg.Console, string(utf16.Decode(units))); err != nil {
		return efiDeviceError
	}
	return efiSuccess
}

// queryMode(this, mode, *columns, *rows)
func (f *Firmware) queryMode(k *call) uint64 {
	if k.regs.RDX != 0 {
		return efiUnsupported
	}
	return written(k.write64(k.regs.R8, 80), k.write64(k.regs.R9, 25))
}

// rngInfo(this, *size, list): the one algorithm is EFI_RNG_ALGORITHM_RAW (UEFI 37.5).
func (f *Firmware) rngInfo(k *call) uint64 {
	size, ok := k.read64(k.regs.RDX)
	if !ok || !k.write64(k.regs.RDX, uint64(len(guidRNGRaw))) {
		return efiInvalidParameter
	}
	if size < uint64(len(guidRNGRaw)) {
		return efiBufferTooSmall
	}
	return written(k.write(k.regs.R8, guidRNGRaw[:]))
}

// rngBytes(this, *algorithm, length, buffer)
func (f *Firmware) rngBytes(k *call) uint64 {
	if k.regs.RDX != 0 {
		if id, ok := k.readGUID(k.regs.RDX); !ok || id != guidRNGRaw {
			return efiUnsupported
		}
	}
	if k.regs.R8 == 0 || k.regs.R8 > maxCopy {
		return efiInvalidParameter
	}
	b := make([]byte, k.regs.R8)
	if _, err := io.ReadFull(f.cfg.Random, b); err != nil {
		return efiDeviceError
	}
	return written(k.write(k.regs.R9, b))
}
