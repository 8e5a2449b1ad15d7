// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package image looks from outside at the disks that Linux wrote through the test
// host in test/witness/linux: by Debian's own tools for partitions and ext4, which are
// not inside the emulated machine.
package image

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/test/vm/pattern"
	"github.com/hvgo/hvgo/test/witness"
)

const (
	mib      = 1 << 20
	sector   = 512
	dataSize = 256 * mib // TestDisk's
)

// TestDisk checks the partition table, the file system and the file in it.
func TestDisk(t *testing.T) {
	dir := os.Getenv("HVGO_TEST_LINUX")
	if dir == "" {
		t.Skip("HVGO_TEST_LINUX names no folder of disks (make witness sets it)")
	}
	for _, series := range []string{"6.12", "6.1"} {
		t.Run(series, func(t *testing.T) {
			row := witness.Start(t, "sgdisk, e2fsck", "the disk that Linux "+series+" left: GPT, ext4, the file's bytes")
			disk := filepath.Join(dir, "linux-"+series+".img")
			row.SetVersion(version(t))
			if out := tool(t, "sgdisk", "--verify", disk); !strings.Contains(out, "No problems found") {
				t.Errorf("sgdisk: %s", out)
			}
			at := fmt.Sprintf("%s?offset=%d", disk, firstSector(t, disk)*sector)
			tool(t, "e2fsck", "-f", "-n", at)
			data := filepath.Join(t.TempDir(), "data")
			tool(t, "debugfs", "-R", "dump /data "+data, at)
			checkData(t, data)
		})
	}
}

// tool runs a program of Debian's, which scripts/packages installs.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

var e2fsckVersion = regexp.MustCompile(`e2fsck ([0-9.]+)`)

func version(t *testing.T) string {
	m := e2fsckVersion.FindStringSubmatch(tool(t, "e2fsck", "-V"))
	if m == nil {
		t.Fatal("e2fsck does not say its version")
	}
	return m[1]
}

var firstLine = regexp.MustCompile(`(?m)^First sector: ([0-9]+)`)

func firstSector(t *testing.T, disk string) int64 {
	m := firstLine.FindStringSubmatch(tool(t, "sgdisk", "--info=1", disk))
	if m == nil {
		t.Fatal("sgdisk names no first sector")
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkData compares the file with what the guest was to write.
func checkData(t *testing.T, path string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, want := make([]byte, mib), make([]byte, mib)
	for at := int64(0); at < dataSize; at += mib {
		if _, err := io.ReadFull(f, b); err != nil {
			t.Fatal(err)
		}
		if pattern.Fill(want, at); !bytes.Equal(b, want) {
			t.Fatalf("other bytes in the file's MiB at %d than written", at)
		}
	}
	if n, _ := f.Read(b); n != 0 {
		t.Errorf("the file is longer than %d bytes", dataSize)
	}
}
