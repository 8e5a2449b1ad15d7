// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"bytes"
	"errors"
	"fmt"
)

// What Open may find. Every error of Open and OpenFile that is not an I/O error
// of the file wraps one of these.
var (
	ErrNotVHDX      = errors.New("not a VHDX file")
	ErrTruncated    = errors.New("VHDX file is truncated")
	ErrCorrupt      = errors.New("VHDX file is damaged")
	ErrDifferencing = errors.New("VHDX is a differencing disk, which needs its parent; merge it into its parent first")
	ErrUnsupported  = errors.New("VHDX has a feature that is not supported")
)

// Errors of an open Disk.
var (
	ErrReadOnly = errors.New("disk is open for reading only")
	ErrClosed   = errors.New("disk is closed")
	ErrInUse    = errors.New("in use by another process")
)

func corrupt(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, a...))
}

func truncated(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrTruncated, fmt.Sprintf(format, a...))
}

// notVHDX says what a file without VHDX's signature looks like. head is its
// beginning, up to 34 KiB; tail its last 512 bytes.
func notVHDX(head, tail []byte) error {
	what, advice := identify(head, tail)
	if advice != "" {
		advice = "; " + advice
	}
	return fmt.Errorf("%w: it looks like %s%s", ErrNotVHDX, what, advice)
}

func identify(head, tail []byte) (what, advice string) {
	at := func(off int, s string) bool {
		return len(head) >= off+len(s) && string(head[off:off+len(s)]) == s
	}
	convert := func(format string) string {
		return "convert it with: qemu-img convert -f " + format + " -O vhdx OLD NEW"
	}
	switch {
	case len(head) == 0:
		return "an empty file", ""
	case at(0, "QFI\xfb"):
		return "a qcow2 disk", convert("qcow2")
	case at(0, "QED\x00"):
		return "a QED disk", convert("qed")
	case at(0, "KDMV"), at(0, "COWD"), at(0, "# Disk DescriptorFile"):
		return "a VMDK disk", convert("vmdk")
	case at(64, "\x7f\x10\xda\xbe"):
		return "a VDI disk", convert("vdi")
	case at(0, "conectix"), bytes.HasPrefix(tail, []byte("conectix")):
		return "a VHD disk, VHDX's predecessor", convert("vpc")
	case at(0x8001, "CD001"):
		return "an ISO 9660 image", ""
	case at(0, "\x1f\x8b"), at(0, "PK\x03\x04"), at(0, "\xfd7zXZ"), at(0, "\x28\xb5\x2f\xfd"):
		return "a compressed file", "unpack it first"
	case at(0, "\x7fELF"):
		return "an ELF program", "make a disk from a Go package with: hvgo build PACKAGE"
	case at(0, "MZ"):
		return "an EFI or Windows program", ""
	case at(512, "EFI PART"), at(4096, "EFI PART"), at(510, "\x55\xaa"):
		return "a raw disk image", convert("raw")
	}
	return "data of no known disk format", ""
}
