// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// qemuImg runs qemu-img, a reader and writer of VHDX that is not ours.
func qemuImg(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("qemu-img", args...).CombinedOutput()
	if err != nil {
		t.Errorf("qemu-img %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func needQEMU(t *testing.T) {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skip("qemu-img is not installed (package qemu-utils)")
	}
}

// fill writes some pieces to w and to a raw file of the same size.
func fill(t *testing.T, w io.WriterAt, raw string, size int64) {
	t.Helper()
	f, err := os.Create(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewSource(3))
	for i := range 20 {
		p := make([]byte, 1+r.Intn(200<<10))
		r.Read(p)
		off := r.Int63n(size - int64(len(p)))
		if i == 0 {
			off = size - int64(len(p))
		}
		for _, w := range []io.WriterAt{w, f} {
			if _, err := w.WriteAt(p, off); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestQEMUReadsOurs(t *testing.T) {
	needQEMU(t)
	for name, o := range map[string]Options{
		"dynamic":       {Size: 20<<20 + 512},
		"fixed":         {Size: 9<<20 + 512, Fixed: true},
		"large blocks":  {Size: 300 << 20, BlockSize: 32 << 20},
		"fixed, blocks": {Size: 33 << 20, BlockSize: 16 << 20, Fixed: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			img, raw := filepath.Join(dir, "a.vhdx"), filepath.Join(dir, "a.raw")
			d, err := CreateFile(img, o)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, d, raw, o.Size)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if out := qemuImg(t, "check", "-f", "vhdx", img); !strings.Contains(out, "No errors were found") {
				t.Error(out)
			}
			qemuImg(t, "compare", "-f", "vhdx", "-F", "raw", img, raw)
		})
	}
}

func TestWeReadQEMUs(t *testing.T) {
	needQEMU(t)
	for name, options := range map[string]string{
		"dynamic": "subformat=dynamic", "fixed": "subformat=fixed", "small blocks": "subformat=dynamic,block_size=1M",
		"fixed, large blocks": "subformat=fixed,block_size=32M", "zero state": "block_state_zero=on",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			img, raw := filepath.Join(dir, "a.vhdx"), filepath.Join(dir, "a.raw")
			const size = 41<<20 + 512
			fill(t, discard{}, raw, size)
			qemuImg(t, "convert", "-f", "raw", "-O", "vhdx", "-o", options, raw, img)
			d, err := OpenFile(img, false)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := os.ReadFile(raw)
			if !bytes.Equal(readAll(t, d), want) {
				t.Error("we read other bytes than qemu-img wrote")
			}
			// Write into it, existing blocks and new ones; qemu-img agrees.
			fill(t, d, raw, size)
			if _, err := d.WriteAt(make([]byte, size), 0); err != nil {
				t.Fatal(err)
			}
			fill(t, d, raw, size)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			qemuImg(t, "check", "-f", "vhdx", img)
			qemuImg(t, "compare", "-f", "vhdx", "-F", "raw", img, raw)
		})
	}
}

type discard struct{}

func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// A log made by hand is replayed by qemu-img as by us. Its last entry goes
// around the end of the ring. No entry begins behind the end: qemu-img 7.2
// scans from the start of the ring and keeps the first run that ends with the
// highest number, though the tail lies outside of it (MS-VHDX 2.3.3).
func TestQEMUReplaysTheSame(t *testing.T) {
	needQEMU(t)
	m, want := handLog(t, 6)
	dir := t.TempDir()
	img, raw := filepath.Join(dir, "a.vhdx"), filepath.Join(dir, "a.raw")
	for name, b := range map[string][]byte{img: m.b, raw: want} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	qemuImg(t, "check", "-r", "all", "-f", "vhdx", img)
	qemuImg(t, "compare", "-f", "vhdx", "-F", "raw", img, raw)
}

// A file of ours whose power was cut while the log was in use.
func TestQEMUReplaysOurs(t *testing.T) {
	needQEMU(t)
	d, m := create(t, Options{Size: 100 << 20})
	for i := range int64(3) {
		if _, err := d.WriteAt([]byte("flushed"), i*30<<20); err != nil {
			t.Fatal(err)
		}
		if err := d.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	want := readAll(t, d)
	clear(m.b[batOffset : batOffset+4096]) // no write in place reached the medium
	dir := t.TempDir()
	img, raw := filepath.Join(dir, "a.vhdx"), filepath.Join(dir, "a.raw")
	for name, b := range map[string][]byte{img: m.b, raw: want} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	qemuImg(t, "check", "-r", "all", "-f", "vhdx", img)
	qemuImg(t, "compare", "-f", "vhdx", "-F", "raw", img, raw)
}

// Between the chunks, of 4 GiB here, the BAT has entries for sector bitmaps.
func TestQEMUFindsChunks(t *testing.T) {
	needQEMU(t)
	dir := t.TempDir()
	img, part := filepath.Join(dir, "a.vhdx"), filepath.Join(dir, "part")
	d, err := CreateFile(img, Options{Size: 13 << 30})
	if err != nil {
		t.Fatal(err)
	}
	const chunk = 4 << 30
	want := bytes.Repeat([]byte("either side"), 300<<10)
	for i := range int64(3) {
		if _, err := d.WriteAt(want, (i+1)*chunk-1<<20); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		qemuImg(t, "dd", "-f", "vhdx", "-O", "raw", "bs=1M", fmt.Sprintf("skip=%d", (i+1)*4096-1),
			fmt.Sprintf("count=%d", (i+1)*4096+3), "if="+img, "of="+part)
		if got, err := os.ReadFile(part); err != nil || !bytes.HasPrefix(got, want) {
			t.Errorf("chunk %d: qemu-img reads other bytes, %v", i, err)
		}
	}
}
