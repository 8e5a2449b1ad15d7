// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import "strings"

// A few terms of ACPI Machine Language, enough for a DSDT: each function returns
// the bytes of a term (ACPI 20.2).

func amlName(name string, value []byte) []byte {
	return append(append([]byte{0x08}, amlPath(name)...), value...)
}

func amlScope(path string, terms ...[]byte) []byte { return amlBlock([]byte{0x10}, path, terms) }

func amlDevice(name string, terms ...[]byte) []byte { return amlBlock([]byte{0x5B, 0x82}, name, terms) }

func amlBlock(op []byte, path string, terms [][]byte) []byte {
	body := amlPath(path)
	for _, t := range terms {
		body = append(body, t...)
	}
	return append(append([]byte(nil), op...), amlSized(body)...)
}

// amlSized puts a PkgLength, which counts itself, before body (ACPI 20.2.4).
func amlSized(body []byte) []byte {
	n := len(body)
	switch {
	case n+1 < 1<<6:
		return append([]byte{byte(n + 1)}, body...)
	case n+2 < 1<<12:
		n += 2
		return append([]byte{1<<6 | byte(n&0xF), byte(n >> 4)}, body...)
	}
	n += 3
	return append([]byte{2<<6 | byte(n&0xF), byte(n >> 4), byte(n >> 12)}, body...)
}

// amlPath encodes a name of segments of four letters, perhaps from the root.
func amlPath(p string) []byte {
	var b []byte
	if strings.HasPrefix(p, "\\") {
		b, p = append(b, '\\'), p[1:]
	}
	segs := strings.Split(p, ".")
	if len(segs) == 2 {
		b = append(b, 0x2E)
	}
	for _, s := range segs {
		b = append(b, (s + "____")[:4]...)
	}
	return b
}

func amlString(s string) []byte { return append(append([]byte{0x0D}, s...), 0) }

func amlInt(v uint64) []byte {
	switch {
	case v <= 1:
		return []byte{byte(v)}
	case v <= 0xFF:
		return []byte{0x0A, byte(v)}
	case v <= 0xFFFF:
		return le.AppendUint16([]byte{0x0B}, uint16(v))
	case v <= 0xFFFFFFFF:
		return le.AppendUint32([]byte{0x0C}, uint32(v))
	}
	return le.AppendUint64([]byte{0x0E}, v)
}

func amlPackage(items ...[]byte) []byte {
	body := []byte{byte(len(items))}
	for _, it := range items {
		body = append(body, it...)
	}
	return append([]byte{0x12}, amlSized(body)...)
}

// amlEISA packs an id such as "PNP0501" into the number AML uses for it (ACPI 19.6.36).
func amlEISA(id string) []byte {
	v := uint32(id[0]-0x40)<<26 | uint32(id[1]-0x40)<<21 | uint32(id[2]-0x40)<<16
	for i, c := range []byte(id[3:7]) {
		d := uint32(strings.IndexByte("0123456789ABCDEF", c))
		v |= d << (12 - 4*i)
	}
	return []byte{0x0C, byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// amlResources makes a resource template of descriptors (ACPI 6.4) with its end tag.
func amlResources(descriptors ...[]byte) []byte {
	var body []byte
	for _, d := range descriptors {
		body = append(body, d...)
	}
	body = append(body, 0x79, 0)
	body = append(amlInt(uint64(len(body))), body...)
	return append([]byte{0x11}, amlSized(body)...)
}

// memoryWindow is a QWord address space descriptor for memory a bridge passes on
// (ACPI 6.4.3.5.1): produced, decoded positively, both ends fixed, read-write.
func memoryWindow(start, size uint64) []byte {
	b := []byte{0x8A, 43, 0, 0, 0x0C, 0x01}
	for _, v := range []uint64{0, start, start + size - 1, 0, size} { // granularity, first, last, translation, length
		b = le.AppendUint64(b, v)
	}
	return b
}

// ioPorts is an I/O port descriptor (ACPI 6.4.2.5), irq an interrupt descriptor (6.4.2.1).
func ioPorts(first uint16, n byte) []byte {
	return append(le.AppendUint16(le.AppendUint16([]byte{0x47, 1}, first), first), 1, n)
}

func irq(n uint) []byte { return le.AppendUint16([]byte{0x22}, 1<<n) }
