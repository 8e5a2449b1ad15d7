// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/gpt"
)

// disk is a disk in memory.
type disk []byte

func (d disk) WriteAt(p []byte, off int64) (int, error) { return copy(d[off:], p), nil }

const size = 8<<20 + 4096

func sample() Table {
	return Table{
		ID: guid.MustParse("00112233-4455-4677-8899-aabbccddeeff"),
		Partitions: []Partition{
			{Number: 1, Type: TypeEFISystem, ID: guid.MustParse("10112233-4455-4677-8899-aabbccddeeff"), Offset: 1 << 20, Size: 4 << 20, Name: "EFI System", Attributes: 1},
			{Number: 3, Type: TypeLinuxData, ID: guid.MustParse("20112233-4455-4677-8899-aabbccddeeff"), Offset: 6 << 20, Size: 1 << 20, Name: "Größe"},
		},
	}
}

func write(t testing.TB, sector int) disk {
	d := make(disk, size)
	if err := Write(d, size, sector, sample()); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestReadWhatWasWritten(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		d := write(t, sector)
		got, err := Read(bytes.NewReader(d), size, sector)
		if err != nil || !reflect.DeepEqual(got, sample()) {
			t.Errorf("%d: got %+v, %v", sector, got, err)
		}
		d[sector+60] ^= 1 // primary header
		got, err = Read(bytes.NewReader(d), size, sector)
		if err != nil || !got.FromBackup || len(got.Partitions) != 2 {
			t.Errorf("%d: from the backup got %+v, %v", sector, got, err)
		}
		d[size-sector+60] ^= 1
		if _, err := Read(bytes.NewReader(d), size, sector); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d: both damaged: %v", sector, err)
		}
	}
	if _, err := Read(bytes.NewReader(make([]byte, size)), size, 512); !errors.Is(err, ErrNoTable) {
		t.Errorf("empty disk: %v", err)
	}
}

func TestUsable(t *testing.T) {
	off, n, err := Usable(size, 512)
	if err != nil || off != 1<<20 || off+n != size-33*512 {
		t.Errorf("%d, %d, %v", off, n, err)
	}
	if _, _, err := Usable(1<<20, 512); err == nil {
		t.Error("1 MiB has no room")
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, change := range map[string]func(*Table){
		"over the table": func(t *Table) { t.Partitions[0].Offset = 512 },
		"over the end":   func(t *Table) { t.Partitions[1].Size = 2<<20 + 4096 },
		"odd":            func(t *Table) { t.Partitions[1].Size = 100 },
		"empty":          func(t *Table) { t.Partitions[1].Size = 0 },
		"overlap":        func(t *Table) { t.Partitions[0].Size = 6 << 20 },
		"number":         func(t *Table) { t.Partitions[1].Number = 129 },
		"same number":    func(t *Table) { t.Partitions[1].Number = 1 },
		"name":           func(t *Table) { t.Partitions[0].Name = strings.Repeat("x", 37) },
		"no type":        func(t *Table) { t.Partitions[0].Type = guid.GUID{} },
	} {
		tab := sample()
		change(&tab)
		if err := Write(make(disk, size), size, 512, tab); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if Write(make(disk, 4096), 4096, 512, Table{}) == nil || Write(make(disk, size), size, 520, Table{}) == nil {
		t.Error("impossible disk")
	}
}

// reseal makes both checksums of a table right after a change.
func reseal(d disk, header, entries int) {
	n := min(int(binary.LittleEndian.Uint32(d[header+80:]))*int(binary.LittleEndian.Uint32(d[header+84:])), 16384)
	binary.LittleEndian.PutUint32(d[header+88:], crc32.ChecksumIEEE(d[entries:entries+n]))
	binary.LittleEndian.PutUint32(d[header+wire.ChecksumOffset:], 0)
	binary.LittleEndian.PutUint32(d[header+wire.ChecksumOffset:], crc32.ChecksumIEEE(d[header:header+92]))
}

func TestReadRefuses(t *testing.T) {
	put := binary.LittleEndian.PutUint64
	for name, change := range map[string]func(d disk){
		"header size":       func(d disk) { d[512+12] = 91 },
		"wrong place":       func(d disk) { d[512+24] = 2 },
		"no entries":        func(d disk) { binary.LittleEndian.PutUint32(d[512+80:], 0) },
		"too many entries":  func(d disk) { binary.LittleEndian.PutUint32(d[512+80:], 1<<31) },
		"entry size":        func(d disk) { d[512+84] = 130 },
		"entries outside":   func(d disk) { put(d[512+72:], 1<<63) },
		"entries in usable": func(d disk) { d[512+40] = 3 },
		"usable outside":    func(d disk) { put(d[512+48:], 1<<40) },
		"usable backwards":  func(d disk) { put(d[512+48:], 5) },
		"partition outside": func(d disk) { put(d[1024+40:], 1<<62) },
		"backwards":         func(d disk) { put(d[1024+40:], 2000) },
		"overlap":           func(d disk) { put(d[1024+40:], 13000) },
	} {
		d := write(t, 512)
		change(d)
		reseal(d, 512, 1024)
		clear(d[size-512:])
		if tab, err := Read(bytes.NewReader(d), size, 512); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %+v, %v", name, tab, err)
		}
	}
}

func TestSgdisk(t *testing.T) {
	sgdisk, err := exec.LookPath("sgdisk")
	if err != nil {
		if sgdisk = "/usr/sbin/sgdisk"; exec.Command(sgdisk, "-V").Run() != nil {
			t.Skip("sgdisk is not installed (package gdisk)")
		}
	}
	img := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(img, write(t, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(sgdisk, "-v", img).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No problems found") {
		t.Errorf("sgdisk -v: %v\n%s", err, out)
	}
	out, err = exec.Command(sgdisk, "-i", "3", img).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Partition unique GUID: 20112233-4455-4677-8899-AABBCCDDEEFF") || !strings.Contains(string(out), "Größe") {
		t.Errorf("sgdisk -i: %v\n%s", err, out)
	}
}

func FuzzRead(f *testing.F) {
	base := write(f, 512)
	f.Add([]byte{}, []byte{}, true)
	f.Add([]byte(base[512:604]), []byte(base[1024:1400]), true)
	f.Fuzz(func(t *testing.T, header, entries []byte, sums bool) {
		d := bytes.Clone(base)
		copy(d[512:1024], header)
		copy(d[1024:1024+16384], entries)
		if sums {
			reseal(d, 512, 1024)
		}
		tab, err := Read(bytes.NewReader(d), size, 512)
		if err != nil {
			return
		}
		for _, p := range tab.Partitions {
			if p.Offset < 1024 || p.Size <= 0 || p.Offset+p.Size > size {
				t.Errorf("partition outside of the disk: %+v", p)
			}
		}
	})
}
