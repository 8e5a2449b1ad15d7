// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hvgo/hvgo/image/gpt"
	"github.com/hvgo/hvgo/image/vhdx"
	"github.com/hvgo/hvgo/internal/guid"
)

// Format is a kind of disk file.
type Format int

const (
	DynamicVHDX Format = iota // grows as it is written to
	FixedVHDX                 // all its room taken at once
	Raw                       // the bytes of the disk
)

const mib = 1 << 20

// WriteDisk writes a boot disk with the EFI application on it to the file of
// that name, which it replaces. The same application gives the same bytes. On
// failure, and when ctx ends, no file is left behind or changed.
func WriteDisk(ctx context.Context, name string, efi []byte, format Format) error {
	if st, err := os.Stat(name); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s exists and is not a regular file", name)
	}
	return replaceFile(ctx, name, func(f *os.File) error {
		if format == Raw {
			return writeRaw(f, efi)
		}
		return writeVHDX(f, efi, format == FixedVHDX)
	})
}

// WriteFile replaces a file by the bytes, wholly or not at all.
func WriteFile(ctx context.Context, name string, b []byte) error {
	return replaceFile(ctx, name, func(f *os.File) error {
		_, err := f.Write(b)
		return errors.Join(err, f.Sync(), f.Close())
	})
}

// replaceFile has a new file written, which write must close, and then takes it
// in place of the old one.
func replaceFile(ctx context.Context, name string, write func(*os.File) error) error {
	dir, base := filepath.Split(name)
	tmp := filepath.Join(dir, "."+base+"."+guid.New().String()[:8]+".tmp")
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, errors.Unwrap(err))
	}
	err = write(f)
	f.Close() // again, where write failed before it closed
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(tmp))
	}
	return nil
}

// guids gives a row of identifiers that depends on the content only.
func guids(content []byte) func() guid.GUID {
	sum := sha256.Sum256(content)
	n := byte(0)
	return func() guid.GUID {
		n++
		h := sha256.Sum256(append(sum[:], n))
		g := guid.GUID(h[:guid.Size])
		g[7] = g[7]&0x0f | 0x80 // version 8: made as the maker likes (RFC 9562 5.8)
		g[8] = g[8]&0x3f | 0x80
		return g
	}
}

func writeVHDX(f *os.File, efi []byte, fixed bool) error {
	d, err := vhdx.Create(f, vhdx.Options{Size: diskSize(efi), Fixed: fixed, Creator: "hvgo", NewGUID: guids(efi)})
	if err != nil {
		return err
	}
	return errors.Join(writePartitions(d, d.Size(), efi), d.Close())
}

func writeRaw(f *os.File, efi []byte) error {
	size := diskSize(efi)
	if err := f.Truncate(size); err != nil {
		return err
	}
	if err := writePartitions(f, size, efi); err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// margin lies before the EFI partition and behind it, for the partition tables.
// 1 MiB before it, as is usual, would cost a dynamic VHDX another block, and
// 32 KiB are a multiple of every sector size too.
const margin = 32 << 10

// diskSize is the size of the disk in bytes, whole MiB.
func diskSize(efi []byte) int64 {
	return (margin + minESP(int64(len(efi))) + margin + mib - 1) / mib * mib
}

// writePartitions writes the partition table and the EFI partition.
func writePartitions(w io.WriterAt, size int64, efi []byte) error {
	newGUID := guids(append([]byte("partitions"), efi...))
	const offset = margin
	room := size - 2*margin
	disk, part := newGUID(), newGUID()
	err := gpt.Write(w, size, sectorSize, gpt.Table{ID: disk, Partitions: []gpt.Partition{
		{Number: 1, Type: gpt.TypeEFISystem, ID: part, Offset: offset, Size: room, Name: "EFI system partition"},
	}})
	if err != nil {
		return err
	}
	e, err := newESP(offset, room, int64(len(efi)), le.Uint32(part[:]))
	if err != nil {
		return err
	}
	return e.write(w, efi)
}
