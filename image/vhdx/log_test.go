// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"testing"

	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vhdx"
)

// TestPowerCut writes and flushes, then cuts the power after each change of the
// file in turn, with the changes since the last sync kept, lost, or kept in
// part. What was flushed must be there, and the file must open.
func TestPowerCut(t *testing.T) {
	d, m := create(t, Options{Size: 2 << 30}) // four sectors of BAT
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	base := bytes.Clone(m.b)
	m.record = true
	d = reopen(t, m, false)
	type mark struct {
		ops     int
		flushed map[int64]byte
	}
	marks := []mark{{}}
	written := map[int64]byte{}
	r := rand.New(rand.NewSource(2))
	for i := range byte(12) {
		off := r.Int63n(d.Size())
		if _, err := d.WriteAt([]byte{i + 1}, off); err != nil {
			t.Fatal(err)
		}
		written[off] = i + 1
		if i%3 == 2 {
			if err := d.Flush(); err != nil {
				t.Fatal(err)
			}
			f := map[int64]byte{}
			for k, v := range written {
				f[k] = v
			}
			marks = append(marks, mark{len(m.ops), f})
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut <= len(m.ops); cut++ {
		want := marks[0]
		for _, k := range marks {
			if k.ops <= cut {
				want = k
			}
		}
		for _, how := range []string{"kept", "lost", "odd"} {
			f := &memFile{b: bytes.Clone(base)}
			replayOps(f, m.ops[:cut], how)
			for _, readOnly := range []bool{true, false} {
				d, err := Open(f, readOnly)
				if err != nil {
					t.Fatalf("cut after change %d, unsynced %s: %v", cut, how, err)
				}
				for off, v := range want.flushed {
					var b [1]byte
					if _, err := d.ReadAt(b[:], off); err != nil || b[0] != v {
						t.Fatalf("cut after change %d, unsynced %s: at %d read %d, %v; flushed %d", cut, how, off, b[0], err, v)
					}
				}
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// replayOps makes the changes; those after the last sync as how says. A write
// that is torn is one of which each 4 KiB may or may not have happened.
func replayOps(f *memFile, ops []memOp, how string) {
	synced := 0
	for i, o := range ops {
		if o.data == nil && o.size < 0 {
			synced = i
		}
	}
	for i, o := range ops {
		switch {
		case i <= synced || how == "kept":
			f.apply(o)
		case how == "odd" && o.data == nil:
			f.apply(o)
		case how == "odd":
			for at := 0; at < len(o.data); at += 8192 {
				f.apply(memOp{off: o.off + int64(at), data: o.data[at:min(at+4096, len(o.data))]})
			}
		}
	}
}

// What a crash left behind the last block does not show through in a new one.
func TestLeftovers(t *testing.T) {
	m := sample(t)
	m.b = append(m.b, bytes.Repeat([]byte{0xee}, 3<<19)...)
	d := reopen(t, m, false)
	if _, err := d.WriteAt([]byte{1}, 5<<20+100); err != nil {
		t.Fatal(err)
	}
	if b := readAll(t, d)[5<<20 : 6<<20]; bytes.Contains(b, []byte{0xee}) {
		t.Error("a new block holds old bytes")
	}
}

// logged makes entries by hand, independently of logWriter, and puts them into
// a closed disk's log, which is then in use.
type logged struct {
	off     int64
	data    []byte // 4096 bytes, or nil for zeroes
	zeroLen uint64
}

var handGUID = guid.MustParse("12345678-9abc-def0-1234-56789abcdef0")

func handEntry(seq uint64, tail uint32, fileSize int, changes ...logged) []byte {
	var descriptors, data []byte
	for _, c := range changes {
		if c.data == nil {
			descriptors = append(descriptors, "zero\x00\x00\x00\x00"...)
			descriptors = le.AppendUint64(descriptors, c.zeroLen)
		} else {
			descriptors = append(descriptors, "desc"...)
			descriptors = append(descriptors, c.data[4092:]...)
			descriptors = append(descriptors, c.data[:8]...)
			data = append(data, "data"...)
			data = le.AppendUint32(data, uint32(seq>>32))
			data = append(data, c.data[8:4092]...)
			data = le.AppendUint32(data, uint32(seq))
		}
		descriptors = le.AppendUint64(descriptors, uint64(c.off))
		descriptors = le.AppendUint64(descriptors, seq)
	}
	e := []byte("loge\x00\x00\x00\x00")
	head := (64 + len(descriptors) + 4095) &^ 4095
	e = le.AppendUint32(e, uint32(head+len(data)))
	e = le.AppendUint32(e, tail)
	e = le.AppendUint64(e, seq)
	e = le.AppendUint32(e, uint32(len(changes)))
	e = le.AppendUint32(e, 0)
	e = append(e, handGUID[:]...)
	e = le.AppendUint64(e, uint64(fileSize))
	e = le.AppendUint64(e, uint64(fileSize))
	e = append(e, descriptors...)
	e = append(append(e, make([]byte, head-len(e))...), data...)
	return seal(e)
}

// putLog writes bytes into the log, around its end, and marks it in use.
func putLog(t testing.TB, m *memFile, at int, b []byte) {
	for i, c := range b {
		m.b[logOffset+(at+i)%logLength] = c
	}
	cur, err := readHeader(m, int64(len(m.b)))
	if err != nil {
		t.Fatal(err)
	}
	h := cur.Header
	h.LogGUID = handGUID
	if _, err := writeHeader(m, cur, h); err != nil {
		t.Fatal(err)
	}
}

// handLog is a disk whose last block is known only to the log, which begins so
// many sectors before the end of the ring and has seven: the first entry is
// superseded by the second and third. It gives what the disk must read like.
func handLog(t testing.TB, before int) (m *memFile, want []byte) {
	m = sample(t)
	want = readAll(t, reopen(t, m, true))
	bat := bytes.Clone(m.b[batOffset : batOffset+4096])
	block := len(m.b)
	payload := bytes.Repeat([]byte("only in the log "), 1<<16)
	m.b = append(m.b, payload...)
	bad := bytes.Repeat([]byte{0xff}, 4096)
	good := bytes.Clone(bat)
	le.PutUint64(good[7*8:], uint64(block)|6)
	sector := bytes.Repeat([]byte("logged  "), 512)
	first := le.Uint64(good) &^ 7 // where block 0 lies
	at := logLength - before*4096
	e1 := handEntry(7, uint32(at), len(m.b), logged{off: batOffset, data: bad})
	at2 := uint32(at+len(e1)) % logLength
	e2 := handEntry(8, at2, len(m.b), logged{off: batOffset, data: good}, logged{off: int64(first) + 8192, data: sector})
	e3 := handEntry(9, at2, len(m.b), logged{off: int64(first), zeroLen: 4096}, logged{off: int64(first) + 16384, data: sector})
	putLog(t, m, at, append(append(e1, e2...), e3...))
	copy(want[7<<20:], payload)
	clear(want[:4096])
	copy(want[8192:], sector)
	copy(want[16384:], sector)
	return m, want
}

func TestReplay(t *testing.T) {
	for before := 1; before < 10; before++ {
		t.Run(fmt.Sprint(before), func(t *testing.T) { testReplay(t, before) })
	}
}

func testReplay(t *testing.T, before int) {
	m, want := handLog(t, before)
	file := bytes.Clone(m.b)
	if !bytes.Equal(readAll(t, reopen(t, m, true)), want) {
		t.Error("read-only: the log was not seen")
	}
	if !bytes.Equal(m.b, file) {
		t.Error("read-only: the file was written to")
	}
	d := reopen(t, m, false)
	if !bytes.Equal(readAll(t, d), want) {
		t.Error("the log was not replayed")
	}
	if h := d.head; !h.LogGUID.IsZero() {
		t.Error("the log is still in use")
	}
	if !bytes.Equal(readAll(t, reopen(t, m, true)), want) {
		t.Error("opened again, the disk reads otherwise")
	}
}

// A log that cannot be trusted is refused or, where only its end is torn, used
// as far as it is whole.
func TestReplayDamaged(t *testing.T) {
	bat := func(m *memFile) logged {
		return logged{off: batOffset, data: bytes.Clone(m.b[batOffset : batOffset+4096])}
	}
	for _, c := range []struct {
		name  string
		want  error
		entry func(m *memFile) []byte
	}{
		{"whole", nil, func(m *memFile) []byte { return handEntry(1, 0, len(m.b), bat(m)) }},
		{"empty entry", nil, func(m *memFile) []byte { return handEntry(1, 0, len(m.b)) }},
		{"checksum", ErrCorrupt, func(m *memFile) []byte { e := handEntry(1, 0, len(m.b), bat(m)); e[5000]++; return e }},
		{"tail elsewhere", ErrCorrupt, func(m *memFile) []byte { return handEntry(1, 4096, len(m.b), bat(m)) }},
		{"over the headers", ErrCorrupt, func(m *memFile) []byte {
			return handEntry(1, 0, len(m.b), logged{off: wire.Header1Offset, zeroLen: 4096})
		}},
		{"over the log", ErrCorrupt, func(m *memFile) []byte {
			return handEntry(1, 0, len(m.b), logged{off: logOffset - 4096, zeroLen: 8192})
		}},
		{"far away", ErrCorrupt, func(m *memFile) []byte {
			return handEntry(1, 0, len(m.b), logged{off: -4096, zeroLen: 8192})
		}},
		{"huge", ErrCorrupt, func(m *memFile) []byte { return handEntry(1, 0, len(m.b), logged{off: batOffset, zeroLen: 1 << 63}) }},
		{"much zeroed", ErrUnsupported, func(m *memFile) []byte {
			var all []logged
			for range 5 {
				all = append(all, logged{off: batOffset, zeroLen: 1 << 28})
			}
			return handEntry(1, 0, len(m.b), all...)
		}},
		{"much longer", ErrCorrupt, func(m *memFile) []byte {
			e := handEntry(1, 0, len(m.b), bat(m))
			le.PutUint64(e[56:], 1<<40)
			return seal(e)
		}},
		{"file truncated since", ErrTruncated, func(m *memFile) []byte { return handEntry(1, 0, len(m.b)+1, bat(m)) }},
		{"torn second", nil, func(m *memFile) []byte {
			e := handEntry(1, 0, len(m.b), bat(m))
			return append(e, handEntry(2, uint32(len(e)), len(m.b), bat(m))[:4096]...)
		}},
		{"gap in numbers", nil, func(m *memFile) []byte {
			e := handEntry(1, 0, len(m.b), bat(m))
			return append(e, handEntry(3, 0, len(m.b), logged{off: batOffset, zeroLen: 4096})...)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := sample(t)
			want := readAll(t, reopen(t, m, true))
			putLog(t, m, 0, c.entry(m))
			d, err := Open(m, true)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil && !bytes.Equal(readAll(t, d), want) {
				t.Error("the disk reads otherwise")
			}
		})
	}
}

// The file grows to the length that the log asks for.
func TestReplayGrows(t *testing.T) {
	m := sample(t)
	e := handEntry(1, 0, len(m.b), logged{off: batOffset + 4096, zeroLen: 4096})
	le.PutUint64(e[56:], uint64(len(m.b)+5<<20))
	putLog(t, m, 0, seal(e))
	n := len(m.b)
	reopen(t, m, true)
	reopen(t, m, false)
	if len(m.b) != n+5<<20 {
		t.Errorf("%d bytes, want %d", len(m.b), n+5<<20)
	}
}

// Many flushes go around the ring many times.
func TestLogGoesAround(t *testing.T) {
	d, m := create(t, Options{Size: 1 << 40})
	for i := range int64(200) {
		if _, err := d.WriteAt([]byte{byte(i + 1)}, i<<30); err != nil {
			t.Fatal(err)
		}
		if err := d.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	cutFile := &memFile{b: bytes.Clone(m.b)}
	if d.log.sequence != 201 {
		t.Errorf("next sequence number %d", d.log.sequence)
	}
	d = reopen(t, cutFile, false)
	for i := range int64(200) {
		var b [1]byte
		if _, err := d.ReadAt(b[:], i<<30); err != nil || b[0] != byte(i+1) {
			t.Fatal(i, b[0], err)
		}
	}
}

// More changed sectors than one entry takes.
func TestLargeCommit(t *testing.T) {
	d, m := create(t, Options{Size: 1 << 40})
	n := int64(2*maxBatch + 5)
	for i := range n {
		if _, err := d.WriteAt([]byte{1}, i<<29); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	d = reopen(t, &memFile{b: m.b}, true)
	for i := range n {
		var b [1]byte
		if _, err := d.ReadAt(b[:], i<<29); err != nil || b[0] != 1 {
			t.Fatal(i, b[0], err)
		}
	}
}

// failFile fails the nth sync.
type failFile struct {
	*memFile
	left int
}

func (f *failFile) Sync() error {
	if f.left--; f.left < 0 {
		return fmt.Errorf("medium error")
	}
	return f.memFile.Sync()
}

// A failed flush is told, and stays told.
func TestFlushFails(t *testing.T) {
	for left := range 5 {
		m := sample(t)
		f := &failFile{m, left}
		d, err := Open(f, false)
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.WriteAt([]byte{1}, 5<<20)
		if err == nil {
			err = d.Flush()
		}
		if err == nil {
			t.Fatalf("sync %d failed unnoticed", left)
		}
		f.left = 100
		if left > 0 && d.Flush() == nil {
			t.Errorf("sync %d failed, the next flush says nothing", left)
		}
		reopen(t, m, true)
	}
}
