// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/hvgo/hvgo/internal/guid"
	"github.com/soypat/fat"
)

// BootPath is where firmware looks for the application on a disk that it knows
// nothing else about (UEFI 3.5.1.1).
const BootPath = "EFI/BOOT/BOOTX64.EFI"

// ErrNoBootImage is wrapped when a disk has no application to boot.
var ErrNoBootImage = errors.New("no bootable EFI partition")

const (
	sectorSize   = 512
	gptMinEntry  = 128
	gptMaxBytes  = 1 << 20 // of the partition entry array
	maxBootImage = 512 << 20
)

var guidESP = guid.MustParse("C12A7328-F81F-11D2-BA4B-00A0C93EC93B")

// ReadBootImage reads BootPath from the first EFI system partition of a disk of
// size bytes that has a GPT and sectors of 512 bytes.
func ReadBootImage(disk io.ReaderAt, size int64) ([]byte, error) {
	first, sectors, err := findESP(disk, size)
	if err != nil {
		return nil, err
	}
	var fs fat.FS
	part := &partition{disk, first * sectorSize, sectors}
	if err := fs.Mount(part, sectorSize, fat.ModeRead); err != nil {
		return nil, fmt.Errorf("%w: the FAT file system does not mount: %w", ErrNoBootImage, err)
	}
	var f fat.File
	if err := fs.OpenFile(&f, BootPath, fat.ModeRead); err != nil {
		return nil, fmt.Errorf("%w: open %s: %w", ErrNoBootImage, BootPath, err)
	}
	defer f.Close()
	n := f.Size()
	if n <= 0 || n > maxBootImage || n > sectors*sectorSize {
		return nil, fmt.Errorf("%w: %s has %d bytes", ErrNoBootImage, BootPath, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(&f, b); err != nil {
		return nil, fmt.Errorf("%w: read %s: %w", ErrNoBootImage, BootPath, err)
	}
	return b, nil
}

// findESP reads the GPT, UEFI 5.3: the primary header in sector 1, or the backup
// in the last sector. It returns the partition's first sector and its length.
func findESP(disk io.ReaderAt, size int64) (first, sectors int64, err error) {
	last := size/sectorSize - 1
	entries, err := readGPT(disk, 1, last)
	if err != nil {
		var backupErr error
		if entries, backupErr = readGPT(disk, last, last); backupErr != nil {
			return 0, 0, fmt.Errorf("%w: %w", ErrNoBootImage, err)
		}
	}
	for _, e := range entries {
		if guid.GUID(e[:16]) != guidESP {
			continue
		}
		a, b := le.Uint64(e[32:]), le.Uint64(e[40:])
		if a < 2 || b < a || b > uint64(last) {
			return 0, 0, fmt.Errorf("%w: it lies from sector %d to %d on a disk of %d", ErrNoBootImage, a, b, last+1)
		}
		return int64(a), int64(b - a + 1), nil
	}
	return 0, 0, fmt.Errorf("%w: the partition table names none", ErrNoBootImage)
}

// readGPT reads and checks the header in sector at, and its partition entries.
func readGPT(disk io.ReaderAt, at, last int64) ([][]byte, error) {
	const headerSize = 92
	if last < 2 || at < 1 {
		return nil, errors.New("the disk is too small for a GPT")
	}
	h := make([]byte, sectorSize)
	if _, err := disk.ReadAt(h, at*sectorSize); err != nil {
		return nil, fmt.Errorf("read the GPT: %w", err)
	}
	n := le.Uint32(h[12:])
	if string(h[:8]) != "EFI PART" || n < headerSize || n > sectorSize {
		return nil, fmt.Errorf("sector %d is no GPT header", at)
	}
	sum := le.Uint32(h[16:])
	le.PutUint32(h[16:], 0)
	if crc32.ChecksumIEEE(h[:n]) != sum {
		return nil, errors.New("the GPT header has a wrong checksum")
	}
	lba, count, size := le.Uint64(h[72:]), uint64(le.Uint32(h[80:])), uint64(le.Uint32(h[84:]))
	if size < gptMinEntry || size%8 != 0 || count == 0 || count > gptMaxBytes || count*size > gptMaxBytes || lba < 2 || lba > uint64(last) {
		return nil, fmt.Errorf("the GPT has %d entries of %d bytes in sector %d", count, size, lba)
	}
	b := make([]byte, count*size)
	if _, err := disk.ReadAt(b, int64(lba)*sectorSize); err != nil {
		return nil, fmt.Errorf("read the GPT's entries: %w", err)
	}
	if crc32.ChecksumIEEE(b) != le.Uint32(h[88:]) {
		return nil, errors.New("the GPT's entries have a wrong checksum")
	}
	var entries [][]byte
	for ; len(b) > 0; b = b[size:] {
		entries = append(entries, b[:size])
	}
	return entries, nil
}

// partition is a part of a disk as package fat wants it. It is never written.
type partition struct {
	disk           io.ReaderAt
	start, sectors int64 // bytes, sectors
}

// ReadBlocks reads whole sectors.
func (p *partition) ReadBlocks(dst []byte, start int64) (int, error) {
	if start < 0 || start > p.sectors || int64(len(dst)) > (p.sectors-start)*sectorSize {
		return 0, fmt.Errorf("sector %d, %d bytes: beyond the partition", start, len(dst))
	}
	return p.disk.ReadAt(dst, p.start+start*sectorSize)
}

var errReadOnly = errors.New("the firmware only reads")

// WriteBlocks fails.
func (p *partition) WriteBlocks([]byte, int64) (int, error) { return 0, errReadOnly }

// EraseBlocks fails.
func (p *partition) EraseBlocks(int64, int64) error { return errReadOnly }
