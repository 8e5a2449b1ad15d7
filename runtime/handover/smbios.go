// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package handover

// FindSMBIOS looks for an entry point where a PC has it: on 16 bytes from 0xF0000 to
// 0xFFFFF (SMBIOS 3.6, 5.2.1). It gives the address, of the 64-bit one if there are
// both, or 0.
func FindSMBIOS(v View) uint64 {
	const start, end = 0xF0000, 0x100000
	found := uint64(0)
	for at := uint64(start); at < end; at += 16 {
		b := v.Bytes(at, 32)
		if b == nil {
			if b = v.Bytes(at, 16); b == nil {
				break
			}
		}
		switch {
		case has(b, "_SM3_") && sumsUp(v.Bytes(at, uint64(b[6]))):
			return at
		case found == 0 && has(b, "_SM_") && sumsUp(v.Bytes(at, uint64(b[5]))):
			found = at
		}
	}
	return found
}

func has(b []byte, text string) bool { return len(b) >= len(text) && string(b[:len(text)]) == text }

// sumsUp tells whether the bytes, at least 24 of them, add up to 0.
func sumsUp(b []byte) bool {
	sum := byte(0)
	for _, c := range b {
		sum += c
	}
	return len(b) >= 24 && sum == 0
}
