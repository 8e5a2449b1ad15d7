// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"os"

	"github.com/hvgo/hvgo/image/vhdx"
)

// sectorBytes is the sector of a raw disk.
const sectorBytes = 512

// VHDX gives a VHDX the names of a SCSI disk, whose blocks are sectors.
func VHDX(d *vhdx.Disk) Block { return vhdxDisk{d} }

type vhdxDisk struct{ *vhdx.Disk }

func (d vhdxDisk) BlockSize() int { return d.SectorSize() }

// Raw makes a disk of a file whose bytes are the disk's. Closing the disk leaves
// the file open: it is the caller's.
func Raw(f *os.File) (Block, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return rawDisk{f, fi.Size()}, nil
}

type rawDisk struct {
	*os.File
	size int64
}

func (d rawDisk) Flush() error   { return d.Sync() }
func (d rawDisk) Size() int64    { return d.size }
func (d rawDisk) BlockSize() int { return sectorBytes }
func (d rawDisk) ReadOnly() bool { return false }
func (d rawDisk) Close() error   { return nil }
