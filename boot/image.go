// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

// imageMagic tells package image that it found the right symbol.
const imageMagic = 0x4f464e494f475648

// imageInfo is the image's description of itself. package image fills it in
// when it makes the executable; all but the magic and the addresses are offsets
// from the base.
var imageInfo = [16]uint64{imageMagic}

// Words of imageInfo.
const (
	infoBase       = 1 // address the program was linked for
	infoTextStart  = 2
	infoTextEnd    = 3
	infoROStart    = 4 // read-only data, relocated data included
	infoROEnd      = 5
	infoDataStart  = 6
	infoClaimedEnd = 7 // the firmware gave memory up to here
	infoEnd        = 8 // the program's bss goes on to here

	//lint:ignore U1000 entry_amd64.s uses it
	infoTables = 10 // address of page tables before the base, five levels, the topmost first; 0: there are none
)

// textAddress is where the program's text lies.
func textAddress() uintptr

// goEntry is the entry point of the Go runtime.
func goEntry() uintptr

// imageAt gives an address of imageInfo as loaded.
//
//go:nosplit
func imageAt(i int) uintptr {
	return textAddress() - uintptr(imageInfo[infoTextStart]) + uintptr(imageInfo[i&15])
}
