// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"github.com/hvgo/hvgo/runtime/acpi"
	"github.com/hvgo/hvgo/runtime/efi"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// lowest is the end of the memory that is left to processors starting up.
const lowest = 1 << 20

// takeMemory gives mem the RAM of the memory map between two addresses that is of the
// types of the mask, but not the image itself.
func takeMemory(types uint32, low, high uint64) {
	image := uint64(imageStart())
	end := uint64(imageAt(infoClaimedEnd))
	for i := uintptr(0); ; i++ {
		d, ok := entryOf(i)
		if !ok {
			return
		}
		from, to := d.start, d.start+d.pages<<mem.PageShift
		if d.typ > 31 || types>>d.typ&1 == 0 || to < from || to > mem.MaxPhys {
			continue
		}
		if from, to = max(from, low), min(to, high); from >= to {
			continue
		}
		if to <= image || from >= end {
			mem.AddExtent(from, to-from)
			continue
		}
		if from < image {
			mem.AddExtent(from, image-from)
		}
		if to > end {
			mem.AddExtent(end, to-end)
		}
	}
}

// Memory that nobody uses before and after boot services are left.
const (
	freeNow  = 1 << memConventional
	freeSoon = 1<<memLoaderCode | 1<<memLoaderData | 1<<memBootCode | 1<<memBootData
	allRAM   = freeNow | freeSoon | 1<<memRuntimeCode | 1<<memRuntimeData | 1<<memACPIReclaim | 1<<memACPINVS
)

//go:nosplit
func imageBase() uintptr { return textAddress() - uintptr(imageInfo[infoTextStart]) }

// imageStart is where the image's memory begins: at its base, or at the page tables
// before it.
func imageStart() uintptr {
	if imageInfo[infoTables] != 0 {
		return uintptr(imageInfo[infoTables])
	}
	return imageBase()
}

// mapDirect maps all RAM at mem.DirectBase, not executable. The image's text
// and read-only data are left out: nothing may write them there either.
func mapDirect(base uintptr) bool {
	flags := mem.Writable | mem.NoExec | mem.Global
	if _, _, _, edx := ring0.Cpuid(0x80000001, 0); edx&(1<<26) == 0 {
		flags |= mem.NoGiant
	}
	hidden, shown := uint64(imageAt(infoTextStart)), uint64(imageAt(infoDataStart))
	from, to := uint64(0), uint64(0)
	for i := uintptr(0); ; i++ {
		d, ok := entryOf(i)
		if ok && (d.typ > 31 || allRAM>>d.typ&1 == 0) {
			continue
		}
		if ok && d.start == to { // one run of memory, in large pages
			to += d.pages << mem.PageShift
			continue
		}
		if from < to && !mapAround(base, from, to, hidden, shown, flags) {
			return false
		}
		if !ok {
			return true
		}
		from, to = d.start, d.start+d.pages<<mem.PageShift
		if to < from || to > mem.MaxPhys {
			to = from
		}
	}
}

// mapAround maps [from, to) but for the hidden part of it.
func mapAround(base uintptr, from, to, hidden, shown uint64, flags mem.Flags) bool {
	if to <= hidden || from >= shown {
		return mem.MapKernel(base+uintptr(from), from, to-from, flags)
	}
	if from < hidden && !mem.MapKernel(base+uintptr(from), from, hidden-from, flags) {
		return false
	}
	return to <= shown || mem.MapKernel(base+uintptr(shown), shown, to-shown, flags)
}

// mapImage maps the image where it was loaded: text to execute, constants to
// read, data to write.
func mapImage() bool {
	return mapPart(infoTextStart, infoTextEnd, 0, mem.ProtRead|mem.ProtExec) &&
		mapPart(infoROStart, infoROEnd, mem.NoExec, mem.ProtRead) &&
		mapPart(infoDataStart, infoClaimedEnd, mem.NoExec|mem.Writable, mem.ProtRead|mem.ProtWrite)
}

func mapPart(first, last int, flags mem.Flags, prot int32) bool {
	from, to := imageAt(first)&^(mem.PageSize-1), (imageAt(last)+mem.PageSize-1)&^(mem.PageSize-1)
	return mem.MapKernel(from, uint64(from), uint64(to-from), flags) && mem.Reserve(from, to, prot) == 0
}

// mapRest lets the part of bss that the firmware gave no memory for come into
// being where it is touched.
func mapRest() bool {
	from, to := imageAt(infoClaimedEnd), (imageAt(infoEnd)+mem.PageSize-1)&^(mem.PageSize-1)
	if from >= to {
		return true
	}
	_, errno := mem.Mmap(from, to-from, mem.ProtRead|mem.ProtWrite, mem.MapPrivate|mem.MapAnonymous|mem.MapFixedNoReplace)
	return errno == 0
}

// firmwareTables makes page tables for ResetSystem: memory below 4 GiB (and
// each GiB that holds firmware, or the image, whose code makes the call) where it
// really is, for firmware to execute and write. They are used once, at the very end, and get our upper half then.
func firmwareTables() uint64 {
	const present, writable, large = 1, 2, 1 << 7
	pml4, pdpt := mem.AllocFrame(), mem.AllocFrame()
	if pml4 == 0 || pdpt == 0 {
		return 0
	}
	top := table(pml4)
	for i := range top {
		top[i] = 0
	}
	top[0] = pdpt | present | writable
	giga := table(pdpt)
	for g := range giga {
		giga[g] = 0
		if g >= 4 && !firmwareIn(uint64(g)<<30) && !imageIn(uint64(g)<<30) {
			continue
		}
		pd := mem.AllocFrame()
		if pd == 0 {
			return 0
		}
		giga[g] = pd | present | writable
		megas := table(pd)
		for m := range megas {
			megas[m] = uint64(g)<<30 | uint64(m)<<21 | present | writable | large
		}
	}
	return pml4
}

func table(pa uint64) *[512]uint64 { return (*[512]uint64)(ring0.Pointer(mem.Phys(pa))) }

// firmwareIn tells whether firmware that stays lies in the GiB at start.
func firmwareIn(start uint64) bool {
	for i := uintptr(0); ; i++ {
		d, ok := entryOf(i)
		if !ok {
			return false
		}
		if (d.typ == memRuntimeCode || d.typ == memRuntimeData) && d.start < start+1<<30 && d.start+d.pages<<mem.PageShift > start {
			return true
		}
	}
}

// imageIn tells whether some of the image lies in the GiB at start.
func imageIn(start uint64) bool {
	return uint64(imageBase()) < start+1<<30 && uint64(imageAt(infoEnd)) > start
}

// ownTables replaces the page tables that we were started with by ours. Until that is
// done, only memory below reach is used, that the firmware's tables do not lie in, and
// physical addresses are virtual ones.
func ownTables(resetSystem uintptr, reach uint64) string {
	direct := mem.DirectBase
	mem.DirectBase = 0
	takeMemory(freeNow, lowest, reach)
	root := mem.NewRoot()
	if root == 0 || !mapDirect(direct) || !mapImage() {
		return "not enough memory for page tables"
	}
	mapTables(direct)
	firmware := uint64(0)
	if resetSystem != 0 {
		if firmware = firmwareTables(); firmware == 0 {
			return "not enough memory for the firmware's page tables"
		}
	}
	if root, firmware = topLevel(root), topLevel(firmware); root == 0 || firmware == 0 && resetSystem != 0 {
		return "not enough memory for page tables of five levels"
	}
	const pcide, smep, smap = 1 << 17, 1 << 20, 1 << 21
	ring0.Wrmsr(ring0.MSREFER, ring0.Rdmsr(ring0.MSREFER)|ring0.EFERNoExec)
	ring0.SetCR4(ring0.CR4() &^ (pcide | smep | smap))
	ring0.SetCR3(root)
	mem.DirectBase = direct
	mem.SetLive()
	takeMemory(freeSoon, lowest, reach)
	takeMemory(freeNow|freeSoon, reach, mem.MaxPhys)
	efi.SetReset(resetSystem, firmware)
	mapRegisters()
	return ""
}

// la57 is the bit of CR4 for page tables of five levels. It cannot be cleared in 64-bit
// mode: a kernel that starts us by kexec leaves it on, and firmware may.
const la57 = 1 << 12

// topLevel gives what is to be loaded into CR3 for tables of four levels; 0 when there
// is no memory. With five levels that is one table more, in which the first and the
// last entry lead to them: so every address of four levels stays the same.
func topLevel(root uint64) uint64 {
	if ring0.CR4()&la57 == 0 || root == 0 {
		return root
	}
	pml5 := mem.AllocFrame()
	if pml5 == 0 {
		return 0
	}
	const present, writable = 1, 2
	top := table(pml5)
	for i := range top {
		top[i] = 0
	}
	top[0], top[len(top)-1] = root|present|writable, root|present|writable
	return pml5
}

// mapTables maps the ACPI tables that do not lie in RAM of the memory map, for reading.
func mapTables(base uintptr) {
	for i := range acpi.Host.N {
		t := &acpi.Host.Tables[i]
		for at := t.Address &^ (mem.PageSize - 1); at < t.Address+t.Size; at += mem.PageSize {
			if _, _, ok := mem.Walk(base + uintptr(at)); !ok {
				mem.MapKernel(base+uintptr(at), at, mem.PageSize, mem.NoExec)
			}
		}
	}
}

// registersBase is where ACPI registers that lie in memory are mapped.
const registersBase = 0xffff_d800_0000_0000

func mapRegisters() {
	for i := range acpi.Registers {
		pa, ok := acpi.Host.InMemory(i)
		if !ok || pa >= mem.MaxPhys {
			continue
		}
		at := registersBase + uintptr(i)*2*mem.PageSize
		page := pa &^ (mem.PageSize - 1)
		if mem.MapKernel(at, page, 2*mem.PageSize, mem.Writable|mem.NoExec|mem.Uncached|mem.Small) {
			acpi.Host.MappedAt(i, at+uintptr(pa-page))
		}
	}
}
