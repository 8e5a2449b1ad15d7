// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"io"
)

// An EFI system partition with one file, \EFI\BOOT\BOOTX64.EFI, which firmware
// starts when nothing else is said (UEFI 3.5.1.1). It is FAT32 as firmware asks
// for on fixed disks (UEFI 13.3.1), so it has 65525 clusters at least; they are
// as small as they can be. There is one FAT: a second takes 256 KiB, and mends
// nothing on a disk that is not written to.
//
// A dynamic VHDX has room for the blocks of 1 MiB that are written to. So the
// file fills the first block to its end, and goes on at the partition's end,
// before the backup partition table; the free clusters lie in between:
//
//	sector 0   1       6, 7     32          +F           1 MiB of the disk          end
//	+--------+---------+--------+-----------+-------+------+-- - - - - --+----------+
//	| boot   | FSInfo  | their  | FAT       | three | file | free        | rest of  |
//	| sector |         | copies | F sectors | dirs  |      |             | the file |
//	+--------+---------+--------+-----------+-------+------+-- - - - - --+----------+
//
// Numbers and fields: Microsoft "FAT: General Overview of On-Disk Format" 1.03.
const (
	sectorSize   = 512
	espReserved  = 32 // sectors before the first FAT
	espRoot      = 2  // cluster of the root directory; EFI and BOOT follow
	espDirs      = 3  // clusters, one for each directory
	espFile      = espRoot + espDirs
	fat32Least   = 65525
	fatEnd       = 0x0FFFFFFF
	fatMedia     = 0xF8
	fatDate1980  = 0x0021 // 1 January 1980: no clock goes into an image
	maxESPFile   = 1 << 30
	attrVolume   = 0x08
	attrDir      = 0x10
	attrArchive  = 0x20
	dirEntrySize = 32
)

// esp is the geometry of a partition; a cluster is one sector.
type esp struct {
	hidden   uint32 // sectors on the disk before the partition
	total    uint32 // sectors
	fat      uint32 // sectors in one FAT
	clusters uint32
	file     uint32 // bytes
	serial   uint32
}

// minESP is the size in bytes of the smallest partition for a file of so many
// bytes.
func minESP(file int64) int64 {
	clusters := max(fat32Least+16, espDirs+(file+sectorSize-1)/sectorSize)
	return sectorSize * (espReserved + fatSectors(clusters) + clusters)
}

// fatSectors is the size of a FAT for so many clusters; the first two entries
// have no cluster.
func fatSectors(clusters int64) int64 { return ((clusters+2)*4 + sectorSize - 1) / sectorSize }

// newESP fits a partition to its place on the disk. Offset and size are in
// bytes.
func newESP(offset, size, file int64, serial uint32) (esp, error) {
	if file <= 0 || file > maxESPFile || size < minESP(file) || offset < 0 || (offset+size)/sectorSize > 0xffffffff {
		return esp{}, fmt.Errorf("a file of %d bytes does not fit an EFI partition of %d", file, size)
	}
	total := size / sectorSize
	rest := total - espReserved
	fat := int64(1)
	for fatSectors(rest-fat) > fat {
		fat = fatSectors(rest - fat)
	}
	return esp{
		hidden: uint32(offset / sectorSize), total: uint32(total), fat: uint32(fat), clusters: uint32(rest - fat),
		file: uint32(file), serial: serial,
	}, nil
}

func (e esp) fileClusters() uint32 { return (e.file + sectorSize - 1) / sectorSize }

// runs gives the two runs of clusters that the file has: the first begins at
// espFile, the second ends with the last cluster. The first may be empty, the
// second too.
func (e esp) runs() (first, second uint32) {
	const block = mib / sectorSize
	all := e.fileClusters()
	at := (e.hidden + uint32(e.sector(espFile))) % block
	if at > 0 {
		first = min(all, block-at)
	}
	return first, all - first
}

// secondRun is the first cluster of the second run.
func (e esp) secondRun() uint32 {
	_, second := e.runs()
	return 2 + e.clusters - second
}

// sector is where a cluster lies.
func (e esp) sector(cluster uint32) int64 { return espReserved + int64(e.fat) + int64(cluster) - 2 }

// write puts the file system and the file on the disk.
func (e esp) write(disk io.WriterAt, file []byte) error {
	boot, info := e.bootSector(), e.fsInfo()
	first, _ := e.runs()
	split := min(int(first)*sectorSize, len(file))
	parts := []struct {
		b      []byte
		sector int64
	}{
		{boot, 0}, {info, 1}, {boot, 6}, {info, 7},
		{e.table(), espReserved},
		{e.directories(), e.sector(espRoot)},
		{file[:split], e.sector(espFile)},
		{file[split:], e.sector(e.secondRun())},
	}
	for _, p := range parts {
		if _, err := disk.WriteAt(p.b, (int64(e.hidden)+p.sector)*sectorSize); err != nil {
			return fmt.Errorf("write EFI partition: %w", err)
		}
	}
	return nil
}

func (e esp) bootSector() []byte {
	b := make([]byte, sectorSize)
	copy(b, "\xEB\x58\x90HVGO    ")
	le.PutUint16(b[11:], sectorSize)
	b[13] = 1 // sectors in a cluster
	le.PutUint16(b[14:], espReserved)
	b[16] = 1 // FATs
	b[21] = fatMedia
	le.PutUint16(b[24:], 63) // sectors in a track, heads: of no use, but never 0
	le.PutUint16(b[26:], 255)
	le.PutUint32(b[28:], e.hidden)
	le.PutUint32(b[32:], e.total)
	le.PutUint32(b[36:], e.fat)
	le.PutUint32(b[44:], espRoot)
	le.PutUint16(b[48:], 1) // FSInfo's sector
	le.PutUint16(b[50:], 6) // the copies' sector
	b[64] = 0x80            // drive number
	b[66] = 0x29            // the next three fields are there
	le.PutUint32(b[67:], e.serial)
	copy(b[71:], "HVGO       FAT32   ")
	copy(b[90:], "\xF4\xEB\xFD") // halt, for a BIOS that jumps here
	le.PutUint16(b[510:], 0xAA55)
	return b
}

func (e esp) fsInfo() []byte {
	b := make([]byte, sectorSize)
	le.PutUint32(b, 0x41615252)
	le.PutUint32(b[484:], 0x61417272)
	free := e.clusters - espDirs - e.fileClusters()
	le.PutUint32(b[488:], free)
	first, _ := e.runs()
	le.PutUint32(b[492:], espFile+first) // where to look first
	if free == 0 {
		le.PutUint32(b[492:], 0xffffffff)
	}
	le.PutUint32(b[508:], 0xAA550000)
	return b
}

// table is one FAT: three directories of one cluster, and the file's chain.
func (e esp) table() []byte {
	b := make([]byte, int(e.fat)*sectorSize)
	set := func(cluster, v uint32) { le.PutUint32(b[4*cluster:], v) }
	set(0, 0x0FFFFF00|fatMedia)
	set(1, fatEnd)
	for c := range uint32(espDirs) {
		set(espRoot+c, fatEnd)
	}
	first, second := e.runs()
	previous := uint32(0)
	link := func(start, n uint32) {
		for c := start; c < start+n; c++ {
			if previous != 0 {
				set(previous, c)
			}
			previous = c
		}
	}
	link(espFile, first)
	link(e.secondRun(), second)
	set(previous, fatEnd)
	return b
}

// directories are the root, EFI and BOOT, one sector each.
func (e esp) directories() []byte {
	b := make([]byte, espDirs*sectorSize)
	const efi, boot = espRoot + 1, espRoot + 2
	root := b[:0]
	root = appendDirEntry(root, "HVGO       ", attrVolume, 0, 0)
	appendDirEntry(root, "EFI        ", attrDir, efi, 0)
	sub := b[sectorSize:sectorSize]
	sub = appendDirEntry(sub, ".          ", attrDir, efi, 0)
	sub = appendDirEntry(sub, "..         ", attrDir, 0, 0) // 0 stands for the root
	appendDirEntry(sub, "BOOT       ", attrDir, boot, 0)
	sub = b[2*sectorSize : 2*sectorSize]
	sub = appendDirEntry(sub, ".          ", attrDir, boot, 0)
	sub = appendDirEntry(sub, "..         ", attrDir, efi, 0)
	start := uint32(espFile)
	if first, _ := e.runs(); first == 0 {
		start = e.secondRun()
	}
	appendDirEntry(sub, "BOOTX64 EFI", attrArchive, start, e.file)
	return b
}

// appendDirEntry appends an entry; the name has 8 + 3 characters.
func appendDirEntry(b []byte, name string, attr byte, cluster, size uint32) []byte {
	b = append(b, name...)
	b = append(b, attr, 0, 0)
	for _, v := range []uint16{0, fatDate1980, fatDate1980, uint16(cluster >> 16), 0, fatDate1980, uint16(cluster)} {
		b = le.AppendUint16(b, v)
	}
	return le.AppendUint32(b, size)
}
