// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/image/gpt"
	"github.com/hvgo/hvgo/image/vhdx"
	"github.com/soypat/fat"
)

func randomFile(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return b
}

// tool finds a program of another's, which may lie where only root looks.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/sbin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p
		}
	}
	t.Skipf("%s is not installed (package %s)", name, pkg)
	return ""
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func writeDisk(t *testing.T, efi []byte, f Format) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk")
	if err := WriteDisk(context.Background(), name, efi, f); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestVHDXSize(t *testing.T) {
	for _, c := range []struct{ file, limit int64 }{{1, 6 * mib}, {9_000_000, 14 * mib}, {12_200_000, 16 * mib}} {
		name := writeDisk(t, randomFile(int(c.file)), DynamicVHDX)
		st, err := os.Stat(name)
		if err != nil || st.Size() > c.limit {
			t.Errorf("a program of %d bytes makes a VHDX of %d bytes, more than %d; %v", c.file, st.Size(), c.limit, err)
		}
	}
}

// The three formats hold the same disk, and the same program gives the same
// bytes.
func TestFormats(t *testing.T) {
	efi := randomFile(3_000_001)
	raw, err := os.ReadFile(writeDisk(t, efi, Raw))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Format{DynamicVHDX, FixedVHDX} {
		name := writeDisk(t, efi, f)
		d, err := vhdx.OpenFile(name, true)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
		if err != nil || !bytes.Equal(got, raw) || d.Fixed() != (f == FixedVHDX) {
			t.Errorf("format %d holds another disk, %v", f, err)
		}
		d.Close()
		one, _ := os.ReadFile(name)
		two, _ := os.ReadFile(writeDisk(t, efi, f))
		if !bytes.Equal(one, two) {
			t.Errorf("format %d: a second file differs", f)
		}
		if _, err := exec.LookPath("qemu-img"); err == nil {
			rawFile := filepath.Join(t.TempDir(), "raw")
			os.WriteFile(rawFile, raw, 0o666)
			run(t, "qemu-img", "check", "-f", "vhdx", name)
			run(t, "qemu-img", "compare", "-f", "vhdx", "-F", "raw", name, rawFile)
		}
	}
}

// partition writes a raw disk and gives the EFI partition in it.
func partition(t *testing.T, efi []byte) (disk string, esp []byte) {
	t.Helper()
	disk = writeDisk(t, efi, Raw)
	b, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := gpt.Read(bytes.NewReader(b), int64(len(b)), sectorSize)
	if err != nil || len(tab.Partitions) != 1 || tab.Partitions[0].Type != gpt.TypeEFISystem {
		t.Fatalf("%+v, %v", tab, err)
	}
	p := tab.Partitions[0]
	return disk, b[p.Offset : p.Offset+p.Size]
}

func TestESPByTools(t *testing.T) {
	for _, n := range []int{1, 511, 512, 513, 700_000, 5_000_000, 33<<20 + 7, 33<<20 - 9000, 70 << 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			efi := randomFile(n)
			disk, esp := partition(t, efi)
			file := filepath.Join(t.TempDir(), "esp")
			if err := os.WriteFile(file, esp, 0o666); err != nil {
				t.Fatal(err)
			}
			t.Run("sgdisk", func(t *testing.T) {
				if out := run(t, tool(t, "sgdisk", "gdisk"), "-v", disk); !strings.Contains(out, "No problems found") || strings.Contains(out, "aution") {
					t.Error(out)
				}
			})
			t.Run("fsck.fat", func(t *testing.T) {
				fsck := tool(t, "fsck.fat", "dosfstools")
				out := run(t, fsck, "-n", "-v", file)
				if !strings.Contains(out, "FATs, 32 bit entries") || !strings.Contains(out, "4 files") {
					t.Error(out)
				}
				if lines := strings.Split(strings.TrimSpace(run(t, fsck, "-n", file)), "\n"); len(lines) != 2 {
					t.Errorf("it has something to say:\n%s", strings.Join(lines, "\n"))
				}
			})
			t.Run("mtools", func(t *testing.T) {
				tool(t, "mcopy", "mtools")
				out := filepath.Join(t.TempDir(), "out")
				run(t, "mcopy", "-i", file, "::/EFI/BOOT/BOOTX64.EFI", out)
				if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, efi) {
					t.Error("mcopy reads another file", err)
				}
			})
		})
	}
}

// blocks lets the fat package, another's, read a partition.
type blocks []byte

func (b blocks) ReadBlocks(p []byte, at int64) (int, error) { return copy(p, b[at*sectorSize:]), nil }
func (b blocks) WriteBlocks(p []byte, _ int64) (int, error) { return 0, os.ErrPermission }
func (b blocks) EraseBlocks(int64, int64) error             { return os.ErrPermission }

func TestESPByOtherReader(t *testing.T) {
	efi := randomFile(1_234_567)
	_, esp := partition(t, efi)
	var fsys fat.FS
	if err := fsys.Mount(blocks(esp), sectorSize, fat.ModeRead); err != nil {
		t.Fatal(err)
	}
	var f fat.File
	if err := fsys.OpenFile(&f, "/EFI/BOOT/BOOTX64.EFI", fat.ModeRead); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(&f); err != nil || !bytes.Equal(got, efi) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestWriteDiskFails(t *testing.T) {
	dir := t.TempDir()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"cancelled":    WriteDisk(gone, old, randomFile(100), DynamicVHDX),
		"empty":        WriteDisk(context.Background(), old, nil, DynamicVHDX),
		"raw, empty":   WriteDisk(context.Background(), old, nil, Raw),
		"no folder":    WriteDisk(context.Background(), filepath.Join(dir, "none", "x"), randomFile(100), Raw),
		"is a folder":  WriteDisk(context.Background(), dir, randomFile(100), Raw),
		"not for this": WriteDisk(context.Background(), os.DevNull, randomFile(100), Raw),
	} {
		if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), ".tmp") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, err := os.ReadFile(old); string(b) != "old" {
		t.Errorf("the old file has %d bytes, %v", len(b), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
