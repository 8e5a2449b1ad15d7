// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package image makes a linked Go program into a disk that a Generation 2
// virtual machine boots:
//
//	elf.go   the linker's output is read and checked (a static PIE)
//	pe.go    it becomes a PE32+ EFI application
//	esp.go   which goes into a FAT32 file system as \EFI\BOOT\BOOTX64.EFI
//	disk.go  in a partition of a VHDX or raw disk (image/gpt, image/vhdx)
//
// image/build, above, runs the Go command. Everything is reproducible: the same
// program gives the same bytes.
package image
