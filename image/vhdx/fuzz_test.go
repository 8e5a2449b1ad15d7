// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"bytes"
	"testing"

	wire "github.com/hvgo/hvgo/internal/wire/vhdx"
)

// FuzzOpen patches a good file at the places that are interpreted, makes the
// checksums right again or not, and uses what opens. A patch is a place (one
// byte, of the list below), a distance (two bytes) and eight bytes to put there.
func FuzzOpen(f *testing.F) {
	m, _ := handLog(f, 10)
	base := m.b
	places := []int{0, wire.Header1Offset, wire.Header2Offset, wire.RegionTable1Offset, wire.RegionTable2Offset,
		logOffset, logOffset + logLength - 10*4096, metadataOffset, metadataOffset + wire.MetadataTableSize, batOffset}
	f.Add([]byte{}, true, uint32(0))
	f.Add([]byte{8, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8}, true, uint32(0))
	f.Add([]byte{9, 0, 0, 7, 0, 0x50, 0, 0, 0, 0, 0}, false, uint32(100))
	f.Add([]byte{6, 8, 0, 0, 0x20, 0, 0, 0, 0, 0, 0}, true, uint32(1<<20))
	f.Fuzz(func(t *testing.T, patches []byte, reseal bool, cut uint32) {
		m := &memFile{b: bytes.Clone(base)}
		for ; len(patches) >= 11; patches = patches[11:] {
			off := places[int(patches[0])%len(places)] + int(le.Uint16(patches[1:]))
			copy(m.b[off:], patches[3:11])
		}
		if reseal {
			seal(m.b[wire.Header1Offset:][:wire.HeaderSize])
			seal(m.b[wire.Header2Offset:][:wire.HeaderSize])
			seal(m.b[wire.RegionTable1Offset:][:wire.RegionTableSize])
			seal(m.b[wire.RegionTable2Offset:][:wire.RegionTableSize])
			seal(m.b[logOffset+logLength-10*4096:][:2*4096])
		}
		m.resize(int64(len(m.b)) - int64(cut)%int64(len(m.b)))
		if d, err := Open(m, true); err == nil {
			exercise(t, d, false)
		}
		if d, err := Open(m, false); err == nil {
			exercise(t, d, d.Size() < 1<<30 && d.blockSize <= 4<<20)
		}
	})
}

func exercise(t *testing.T, d *Disk, write bool) {
	b := make([]byte, 3000)
	last := d.Size() - int64(len(b))
	for _, off := range []int64{0, d.blockSize - 100, last / 2, last} {
		if off < 0 || off > last {
			continue
		}
		if _, err := d.ReadAt(b, off); err != nil {
			t.Fatalf("read at %d of %d: %v", off, d.Size(), err)
		}
		if !write {
			continue
		}
		if _, err := d.WriteAt([]byte("written"), off); err != nil {
			t.Fatalf("write at %d of %d: %v", off, d.Size(), err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
