// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vhdx"
)

// counting gives a row of GUIDs that is always the same.
func counting() func() guid.GUID {
	n := byte(0)
	return func() guid.GUID { n++; return guid.GUID{15: n} }
}

func create(t testing.TB, o Options) (*Disk, *memFile) {
	t.Helper()
	m := &memFile{}
	if o.NewGUID == nil {
		o.NewGUID = counting()
	}
	d, err := Create(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return d, m
}

func reopen(t testing.TB, m *memFile, readOnly bool) *Disk {
	t.Helper()
	d, err := Open(m, readOnly)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func readAll(t testing.TB, d *Disk) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadWhatWasWritten(t *testing.T) {
	for _, o := range []Options{
		{Size: 5<<20 + 512},
		{Size: 9 << 20, Fixed: true},
		{Size: 9 << 20, BlockSize: 4 << 20, SectorSize: 4096},
		{Size: 3<<20 + 4096, BlockSize: 2 << 20, Fixed: true, SectorSize: 4096},
	} {
		t.Run(fmt.Sprintf("%+v", o.geometry()), func(t *testing.T) {
			d, m := create(t, o)
			model := make([]byte, o.Size)
			r := rand.New(rand.NewSource(1))
			for i := range 200 {
				off := r.Int63n(o.Size)
				p := make([]byte, r.Int63n(min(o.Size-off, 3<<20)+1))
				if i%3 > 0 {
					p = p[:min(len(p), 5000)]
					r.Read(p)
				}
				if n, err := d.WriteAt(p, off); n != len(p) || err != nil {
					t.Fatal(n, err)
				}
				copy(model[off:], p)
				if i%50 == 49 {
					if err := d.Close(); err != nil {
						t.Fatal(err)
					}
					d = reopen(t, m, false)
				}
				if i%20 == 0 {
					if err := d.Flush(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !bytes.Equal(readAll(t, d), model) {
				t.Error("the open disk reads other bytes than were written")
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			d = reopen(t, m, true)
			if !bytes.Equal(readAll(t, d), model) {
				t.Error("the disk opened again reads other bytes than were written")
			}
			if d.Fixed() != o.Fixed || d.Size() != o.Size || !d.ReadOnly() {
				t.Errorf("fixed %v, size %d, read-only %v", d.Fixed(), d.Size(), d.ReadOnly())
			}
			if _, err := d.WriteAt([]byte{1}, 0); !errors.Is(err, ErrReadOnly) {
				t.Errorf("write to a read-only disk: %v", err)
			}
		})
	}
}

func TestZeroesTakeNoRoom(t *testing.T) {
	d, m := create(t, Options{Size: 1 << 30})
	before := len(m.b)
	if _, err := d.WriteAt(make([]byte, 8<<20), 3<<20); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if len(m.b) != before {
		t.Errorf("the file grew from %d to %d bytes", before, len(m.b))
	}
}

// The same calls make the same file.
func TestReproducible(t *testing.T) {
	build := func() []byte {
		d, m := create(t, Options{Size: 64 << 20, Creator: "test"})
		for i := range int64(40) {
			if _, err := d.WriteAt([]byte{byte(i + 1)}, i*1_500_000); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		return m.b
	}
	if !bytes.Equal(build(), build()) {
		t.Error("two files differ")
	}
}

func TestGUIDsChange(t *testing.T) {
	d, m := create(t, Options{Size: 1 << 20})
	d.Close()
	d = reopen(t, m, false)
	before := d.head.Header
	if err := d.Flush(); err != nil || d.head.FileWriteGUID != before.FileWriteGUID {
		t.Errorf("no write, but %+v, %v", d.head, err)
	}
	d.WriteAt([]byte{1}, 0)
	after := reopen(t, &memFile{b: m.b}, true).head
	if after.FileWriteGUID == before.FileWriteGUID || after.DataWriteGUID == before.DataWriteGUID || after.SequenceNumber <= before.SequenceNumber {
		t.Errorf("before the write %+v, after %+v", before, after)
	}
}

func TestOutside(t *testing.T) {
	d, _ := create(t, Options{Size: 1 << 20})
	for _, off := range []int64{-1, 1<<20 - 1, 1 << 20, 1<<63 - 2} {
		if _, err := d.WriteAt([]byte{1, 2}, off); err == nil {
			t.Errorf("write at %d", off)
		}
	}
	if n, err := d.ReadAt(make([]byte, 10), 1<<20-4); n != 4 || err != io.EOF {
		t.Errorf("read over the end: %d, %v", n, err)
	}
	if n, err := d.ReadAt(make([]byte, 10), 1<<62); n != 0 || err != io.EOF {
		t.Errorf("read behind the end: %d, %v", n, err)
	}
	d.Close()
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("read when closed: %v", err)
	}
	if _, err := d.WriteAt(make([]byte, 1), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("write when closed: %v", err)
	}
	if err := d.Flush(); !errors.Is(err, ErrClosed) {
		t.Errorf("flush when closed: %v", err)
	}
	if err := d.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("close when closed: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	for _, o := range []Options{
		{}, {Size: 513}, {Size: 1 << 20, SectorSize: 1024}, {Size: 1 << 20, BlockSize: 3 << 20},
		{Size: 1 << 20, BlockSize: 1 << 19}, {Size: 65 << 40}, {Size: 60 << 40}, {Size: 1 << 20, PhysicalSectorSize: 1},
	} {
		if _, err := Create(&memFile{}, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestConcurrent(t *testing.T) {
	d, m := create(t, Options{Size: 32 << 20})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p := bytes.Repeat([]byte{byte(g + 1)}, 64<<10)
			back := make([]byte, len(p))
			for i := range 100 {
				off := int64(i*4+g) * int64(len(p))
				if _, err := d.WriteAt(p, off); err != nil {
					t.Error(err)
				}
				if _, err := d.ReadAt(back, off); err != nil || !bytes.Equal(p, back) {
					t.Errorf("at %d: %v", off, err)
				}
				if i%25 == g {
					if err := d.Flush(); err != nil {
						t.Error(err)
					}
				}
			}
		}()
	}
	wg.Wait()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	b := readAll(t, reopen(t, m, true))
	for i := range 400 {
		if b[i*64<<10] != byte(i%4+1) {
			t.Fatalf("piece %d reads %d", i, b[i*64<<10])
		}
	}
}

func TestOtherFormats(t *testing.T) {
	at := func(off int, s string) []byte { return append(make([]byte, off), s+strings.Repeat("\x00", 512)...) }
	for want, b := range map[string][]byte{
		"qcow2": at(0, "QFI\xfb"), "VMDK": at(0, "KDMV"), "VHD disk": at(0, "conectix"), "VDI": at(64, "\x7f\x10\xda\xbe"),
		"VHD disk, VHDX's": append(make([]byte, 2048), at(0, "conectix")[:512]...), "ISO": at(0x8001, "CD001"),
		"raw disk image": at(512, "EFI PART"), "ELF": at(0, "\x7fELF"), "empty": {}, "no known": at(0, "hello"),
	} {
		_, err := Open(&memFile{b: b}, true)
		if !errors.Is(err, ErrNotVHDX) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// sample is a closed disk with some blocks.
func sample(t testing.TB) *memFile {
	d, m := create(t, Options{Size: 8 << 20})
	for i := range int64(3) {
		if _, err := d.WriteAt([]byte("payload"), i*2<<20+77); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTruncated(t *testing.T) {
	whole := sample(t).b
	for n := 8; n < len(whole); n += 64 << 10 {
		if _, err := Open(&memFile{b: whole[:n:n]}, true); !errors.Is(err, ErrTruncated) {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
}

func TestDamaged(t *testing.T) {
	type change struct {
		name   string
		want   error
		damage func(b []byte)
	}
	both := func(b []byte, off1, off2, size int, f func([]byte)) {
		for _, off := range []int{off1, off2} {
			f(b[off : off+size])
			seal(b[off : off+size])
		}
	}
	headers := func(f func([]byte)) func([]byte) {
		return func(b []byte) { both(b, wire.Header1Offset, wire.Header2Offset, wire.HeaderSize, f) }
	}
	regions := func(f func([]byte)) func([]byte) {
		return func(b []byte) { both(b, wire.RegionTable1Offset, wire.RegionTable2Offset, wire.RegionTableSize, f) }
	}
	meta := func(entry int) int {
		return metadataOffset + wire.MetadataTableHeaderSize + entry*wire.MetadataEntrySize
	}
	const items = metadataOffset + wire.MetadataTableSize
	for _, c := range []change{
		{"header checksums", ErrCorrupt, func(b []byte) { b[wire.Header1Offset+100] = 1; b[wire.Header2Offset+100] = 1 }},
		{"region checksums", ErrCorrupt, func(b []byte) { b[wire.RegionTable1Offset+9999] = 1; b[wire.RegionTable2Offset+9999] = 1 }},
		{"version", ErrUnsupported, headers(func(h []byte) { h[66] = 2 })},
		{"last number", ErrCorrupt, headers(func(h []byte) { le.PutUint64(h[8:], ^uint64(0)) })},
		{"log version", ErrUnsupported, headers(func(h []byte) { h[64] = 2 })},
		{"log misplaced", ErrCorrupt, headers(func(h []byte) { h[73] = 1 })},
		{"log over the headers", ErrCorrupt, headers(func(h []byte) { le.PutUint64(h[72:], 0) })},
		{"log behind the end", ErrTruncated, headers(func(h []byte) { le.PutUint64(h[72:], 1<<62) })},
		{"log huge", ErrUnsupported, headers(func(h []byte) { le.PutUint32(h[68:], 0xfff00000) })},
		{"log in use but empty", ErrCorrupt, headers(func(h []byte) { h[48] = 1 })},
		{"region overlaps", ErrCorrupt, regions(func(r []byte) { le.PutUint64(r[16+16:], batOffset) })},
		{"region over the log", ErrCorrupt, regions(func(r []byte) { le.PutUint64(r[16+16:], logOffset) })},
		{"region behind the end", ErrTruncated, regions(func(r []byte) { le.PutUint64(r[16+16:], 1<<40) })},
		{"region count", ErrCorrupt, regions(func(r []byte) { le.PutUint32(r[8:], 2048) })},
		{"region missing", ErrCorrupt, regions(func(r []byte) { le.PutUint32(r[8:], 1) })},
		{"region twice", ErrCorrupt, regions(func(r []byte) { copy(r[48:64], r[16:32]) })},
		{"region unknown", ErrUnsupported, regions(func(r []byte) { r[16]++ })},
		{"metadata signature", ErrCorrupt, func(b []byte) { b[metadataOffset]++ }},
		{"metadata unknown", ErrUnsupported, func(b []byte) { b[meta(0)]++ }},
		{"metadata missing", ErrCorrupt, func(b []byte) { b[metadataOffset+10]-- }},
		{"metadata item outside", ErrCorrupt, func(b []byte) { le.PutUint32(b[meta(1)+16:], 1<<20) }},
		{"metadata item short", ErrCorrupt, func(b []byte) { le.PutUint32(b[meta(1)+20:], 7) }},
		{"has a parent", ErrDifferencing, func(b []byte) { b[items+4] |= 2 }},
		{"parent locator", ErrDifferencing, func(b []byte) { copy(b[meta(4):], wire.ItemParentLocator[:]) }},
		{"block size", ErrCorrupt, func(b []byte) { b[items+2] = 3 << 4 }},
		{"disk size odd", ErrCorrupt, func(b []byte) { b[items+8] = 1 }},
		{"disk size zero", ErrCorrupt, func(b []byte) { le.PutUint64(b[items+8:], 0) }},
		{"disk size above the table", ErrCorrupt, func(b []byte) { le.PutUint64(b[items+8:], 1<<40) }},
		{"disk size beyond the format", ErrCorrupt, func(b []byte) { le.PutUint64(b[items+8:], 1<<63) }},
		{"sector size", ErrCorrupt, func(b []byte) { le.PutUint32(b[items+32:], 0) }},
		{"block state", ErrCorrupt, func(b []byte) { b[batOffset] = 7 }},
		{"blocks overlap", ErrCorrupt, func(b []byte) { copy(b[batOffset+8:], b[batOffset:batOffset+8]) }},
		{"block over the table", ErrCorrupt, func(b []byte) { le.PutUint64(b[batOffset:], batOffset|6) }},
		{"block behind the end", ErrTruncated, func(b []byte) { le.PutUint64(b[batOffset:], 1<<40|6) }},
		{"block far away", ErrCorrupt, func(b []byte) { le.PutUint64(b[batOffset:], ^uint64(0)&^7|6) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := sample(t)
			c.damage(m.b)
			_, err := Open(m, true)
			if !errors.Is(err, c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// One damaged copy of what is stored twice does no harm.
func TestSecondCopy(t *testing.T) {
	for _, off := range []int{wire.Header1Offset, wire.Header2Offset, wire.RegionTable1Offset, wire.RegionTable2Offset} {
		m := sample(t)
		want := readAll(t, reopen(t, m, true))
		m.b[off+200] ^= 1
		if !bytes.Equal(readAll(t, reopen(t, m, true)), want) {
			t.Errorf("damage at %d changed the disk", off)
		}
	}
}

func TestFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "d.vhdx")
	if _, err := OpenFile(name, true); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("missing file: %v", err)
	}
	d, err := CreateFile(name, Options{Size: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateFile(name, Options{Size: 1 << 20}); err == nil {
		t.Error("created over a file")
	}
	if _, err := OpenFile(name, false); !errors.Is(err, ErrInUse) && lockWorks {
		t.Errorf("opened twice for writing: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := OpenFile(name, true)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := OpenFile(name, true)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	bad := filepath.Join(t.TempDir(), "bad.vhdx")
	if _, err := CreateFile(bad, Options{Size: 7}); err == nil {
		t.Error("created a disk of 7 bytes")
	}
	if _, err := OpenFile(bad, true); err == nil || errors.Is(err, ErrNotVHDX) {
		t.Errorf("a failed CreateFile left a file: %v", err)
	}
}
