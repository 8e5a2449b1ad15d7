// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import "github.com/hvgo/hvgo/internal/guid"

// A device path that is one vendor media node (UEFI 10.3.5.3), as far as the end
// node behind it.
const (
	pathMedia       = 4
	pathVendorMedia = 3
	pathNodeSize    = 20
)

// locateDevicePath(*protocol GUID, **device path, *handle) knows one path: the one
// under which Linux looks for its initial RAM disk.
func (f *Firmware) locateDevicePath(k *call) uint64 {
	id, ok1 := k.readGUID(k.regs.RCX)
	path, ok2 := k.read64(k.regs.RDX)
	if !ok1 || !ok2 || k.regs.R8 == 0 {
		return efiInvalidParameter
	}
	var node [pathNodeSize]byte
	if k.c.ReadVirtual(path, node[:]) != nil {
		return efiInvalidParameter
	}
	if id != guidLoadFile2 || node[0] != pathMedia || node[1] != pathVendorMedia ||
		le.Uint16(node[2:]) != pathNodeSize || guid.GUID(node[4:]) != guidLinuxInitrd {
		return efiNotFound
	}
	for _, p := range f.protocols {
		if p.guid == guidLoadFile2 {
			return written(k.write64(k.regs.RDX, path+pathNodeSize), k.write64(k.regs.R8, p.handle))
		}
	}
	return efiNotFound
}

// loadInitrd(this, path, boot policy, *size, buffer)
func (f *Firmware) loadInitrd(k *call) uint64 {
	size, ok1 := k.read64(k.regs.R9)
	buffer, ok2 := k.arg(4)
	if !ok1 || !ok2 || !k.write64(k.regs.R9, uint64(len(f.cfg.Initrd))) {
		return efiInvalidParameter
	}
	if buffer == 0 || size < uint64(len(f.cfg.Initrd)) {
		return efiBufferTooSmall
	}
	return written(k.write(buffer, f.cfg.Initrd))
}
