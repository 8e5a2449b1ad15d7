// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

// SMBIOS tables (DSP0134 3.6, chapter 7): just what programs ask for.

// smbiosTable collects structures.
type smbiosTable struct {
	b       []byte
	handles uint16
}

// add appends a structure: type, length, handle, the formatted part, and the
// strings the part refers to by number, from 1.
func (t *smbiosTable) add(kind byte, part []byte, strings ...string) (handle uint16) {
	t.handles++
	t.b = append(t.b, kind, byte(4+len(part)))
	t.b = le.AppendUint16(t.b, t.handles)
	t.b = append(t.b, part...)
	for _, s := range strings {
		t.b = append(append(t.b, s...), 0)
	}
	if len(strings) == 0 {
		t.b = append(t.b, 0)
	}
	t.b = append(t.b, 0)
	return t.handles
}

// buildSMBIOS places the tables and their 64-bit entry point.
func (f *Firmware) buildSMBIOS() error {
	t := f.smbiosStructures()
	base, b, err := f.place(smbiosTablesAt+uint64(len(t)), memRuntimeData)
	if err != nil {
		return err
	}
	putSMBIOS(b, base, t)
	f.addConfig(guidSMBIOS3, base)
	return nil
}

// smbiosTablesAt is where the structures lie behind the entry point, in bytes.
const smbiosTablesAt = 32

// putSMBIOS writes the entry point, to lie at base, and the structures behind it.
func putSMBIOS(b []byte, base uint64, structures []byte) {
	const entrySize = 24
	e := append([]byte("_SM3_"), 0, entrySize, 3, 6, 0, 1, 0) // checksum, length, version 3.6, entry point revision
	e = le.AppendUint32(e, uint32(len(structures)))
	e = le.AppendUint64(e, base+smbiosTablesAt)
	e[5] = checksum(e)
	copy(b, e)
	copy(b[smbiosTablesAt:], structures)
}

func (f *Firmware) smbiosStructures() []byte {
	var t smbiosTable
	const maker, product, version, serial = "hvgo", "Virtual Machine", "1.0", "None"
	const unsupported, uefi, virtual = 1 << 3, 1 << 3, 1 << 4

	// 0: BIOS information.
	bios := []byte{1, 2, 0, 0, 3, 0}
	bios = le.AppendUint64(bios, unsupported)
	t.add(0, append(bios, 0, uefi|virtual, 1, 0, 0xFF, 0xFF, 0, 0), maker, version, "01/01/2026")

	// 1: system information, woken by the power switch.
	system := append([]byte{1, 2, 3, 4}, f.cfg.UUID[:]...)
	t.add(1, append(system, 6, 0, 5), maker, product, version, serial, "Virtual Machine")

	// 2: baseboard; 3: chassis, of type "other".
	const chassisHandle = 4 // handles count from 1 in the order of add
	t.add(2, append(le.AppendUint16([]byte{1, 2, 3, 4, 5, 9, 0}, chassisHandle), 10, 0), maker, product, version, serial, "None")
	t.add(3, []byte{1, 1, 2, 3, 4, 3, 3, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0}, maker, version, serial, "None")

	// 4: a processor socket that holds all virtual processors.
	t.add(4, processorPart(f.cpus), "None", maker, version)

	mib := f.ram.Size() >> 20
	array := t.add(16, memoryArrayPart(mib))
	t.add(17, memoryDevicePart(array, mib), "M0001", "None", maker)
	for _, r := range f.ram.Regions() {
		t.add(19, mappedPart(array, r.GPA, r.GPA+uint64(len(r.Mem))))
	}
	t.add(32, []byte{0, 0, 0, 0, 0, 0, 0}) // no boot errors
	t.add(127, nil)
	return t.b
}

// processorPart: structure 4, offsets 4 to 0x30.
func processorPart(n int) []byte {
	b := make([]byte, 0x30-4)
	const other, central, unknown = 1, 3, 2
	b[0], b[1], b[2], b[3] = 1, central, unknown, 2
	b[0x10-4] = 3
	b[0x18-4] = 0x41 // populated, enabled
	b[0x19-4] = other
	for _, cache := range []int{0x1A, 0x1C, 0x1E} {
		le.PutUint16(b[cache-4:], 0xFFFF) // none described
	}
	b[0x23-4], b[0x24-4], b[0x25-4] = byte(n), byte(n), byte(n)
	le.PutUint16(b[0x26-4:], 1<<2) // 64-bit capable
	le.PutUint16(b[0x28-4:], 1<<1)
	for _, count := range []int{0x2A, 0x2C, 0x2E} {
		le.PutUint16(b[count-4:], uint16(n))
	}
	return b
}

// memoryArrayPart: structure 16, offsets 4 to 0x17.
func memoryArrayPart(mib uint64) []byte {
	const board, system, noECC = 3, 3, 3
	b := []byte{board, system, noECC}
	b = le.AppendUint32(b, 0x80000000) // capacity is in the extended field
	b = le.AppendUint16(b, 0xFFFE)     // no error structure
	b = le.AppendUint16(b, 1)          // one device
	return le.AppendUint64(b, mib<<20)
}

// memoryDevicePart: structure 17, offsets 4 to 0x28.
func memoryDevicePart(array uint16, mib uint64) []byte {
	b := make([]byte, 0x28-4)
	le.PutUint16(b[0:], array)
	le.PutUint16(b[2:], 0xFFFE)
	le.PutUint16(b[4:], 0xFFFF) // widths unknown
	le.PutUint16(b[6:], 0xFFFF)
	const extended = 0x7FFF
	if mib < extended {
		le.PutUint16(b[0x0C-4:], uint16(mib))
	} else {
		le.PutUint16(b[0x0C-4:], extended)
		le.PutUint32(b[0x1C-4:], uint32(mib))
	}
	b[0x0E-4] = 2 // form factor unknown
	b[0x10-4], b[0x11-4] = 1, 2
	b[0x12-4] = 2 // type unknown
	le.PutUint16(b[0x13-4:], 1<<2)
	b[0x17-4] = 3
	return b
}

// mappedPart: structure 19, offsets 4 to 0x1F.
func mappedPart(array uint16, start, end uint64) []byte {
	b := le.AppendUint32(nil, 0xFFFFFFFF) // addresses are in the extended fields
	b = le.AppendUint32(b, 0xFFFFFFFF)
	b = le.AppendUint16(b, array)
	b = append(b, 1)
	b = le.AppendUint64(b, start)
	return le.AppendUint64(b, end-1)
}
