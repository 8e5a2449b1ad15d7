// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/firmware"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/image/vhdx"
)

func TestExitError(t *testing.T) {
	const aborted = 0x8000000000000015
	for _, tt := range []struct {
		name string
		exit machine.Exit
		want int // exit status
	}{
		{"clean", machine.Exit{Kind: vmm.Shutdown}, 0},
		{"program's status", machine.Exit{Kind: vmm.Crash, Params: [5]uint64{crashSignature, 3}}, 3},
		{"crash with status 0", machine.Exit{Kind: vmm.Crash, Params: [5]uint64{crashSignature, 0}}, 1},
		{"crash with an absurd status", machine.Exit{Kind: vmm.Crash, Params: [5]uint64{crashSignature, 1 << 40}}, 1},
		{"crash of something else", machine.Exit{Kind: vmm.Crash, Params: [5]uint64{1, 3}}, 1},
		{"aborted without crash registers", machine.Exit{Kind: vmm.Shutdown, Status: aborted}, 1},
		{"triple fault", machine.Exit{Kind: vmm.TripleFault}, 1},
		{"switched off", machine.Exit{Kind: vmm.Stopped}, 130},
	} {
		got := 0
		if err := exitError(tt.exit, false); err != nil {
			got = 1
			var s exitStatus
			if errors.As(err, &s) {
				got = int(s)
			}
		}
		if got != tt.want {
			t.Errorf("%s: exit status %d, want %d", tt.name, got, tt.want)
		}
	}
}

// The crash message is for a console elsewhere; the status is told always.
func TestExitErrorSays(t *testing.T) {
	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	for _, crashToo := range []bool{false, true} {
		f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		os.Stderr = f
		err = exitError(machine.Exit{Kind: vmm.Crash, Params: [5]uint64{crashSignature, 3}, Message: "panic: no"}, crashToo)
		os.Stderr = stderr
		if err != exitStatus(3) {
			t.Errorf("error %v", err)
		}
		want := "hvgo: the program ended with status 3\n"
		if crashToo {
			want = "hvgo: the guest: panic: no\n" + want
		}
		if b, err := os.ReadFile(f.Name()); err != nil || string(b) != want {
			t.Errorf("said %q, %v; want %q", b, err, want)
		}
	}
}

func TestAdvice(t *testing.T) {
	_, noGPT := firmware.ReadBootImage(bytes.NewReader(make([]byte, 1<<20)), 1<<20)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("firmware: %w", firmware.ErrMemory), "--memory"},
		{fmt.Errorf("boot disk: %w", noGPT), "build it again"},
		{firmware.ErrNotPE, "build it again"},
	} {
		if got := advice(tt.err); !strings.Contains(got, tt.want) {
			t.Errorf("%v: %q", tt.err, got)
		}
	}
	if got := advice(errors.New("no KVM")); got != "" {
		t.Errorf("another error: %q", got)
	}
}

// slowUART takes three bytes at a time, and none every other time.
type slowUART struct {
	b    bytes.Buffer
	full bool
}

func (u *slowUART) Write(p []byte) (int, error) {
	if u.full = !u.full; u.full {
		return 0, errors.New("full")
	}
	return u.b.Write(p[:min(3, len(p))])
}

func TestFeedConsole(t *testing.T) {
	var u slowUART
	feedConsole(context.Background(), &u, strings.NewReader("hello, guest\n"))
	if got := u.b.String(); got != "hello, guest\n" {
		t.Errorf("the guest got %q", got)
	}
}

func TestDisksStayLocked(t *testing.T) {
	dir := t.TempDir()
	image, raw := filepath.Join(dir, "i.vhdx"), filepath.Join(dir, "raw")
	v, err := vhdx.CreateFile(image, vhdx.Options{Size: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(raw, make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := (&runOptions{image: image, memory: "64", cpus: 1, disks: []string{raw}}).plan()
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range []*diskFile{p.image, p.disks[0]} {
		b, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		if want := []int64{8 << 20, 4096}[i]; b.Size() != want || b.BlockSize() != sectorBytes || b.ReadOnly() {
			t.Errorf("disk %d: %d bytes in blocks of %d", i, b.Size(), b.BlockSize())
		}
		text := bytes.Repeat([]byte{0xa5}, sectorBytes)
		if _, err := b.WriteAt(text, sectorBytes); err != nil {
			t.Error(err)
		}
		if err := errors.Join(b.Flush(), b.Close()); err != nil {
			t.Error(err)
		}
		if _, err := openDataDisk(d.path); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("disk %d was opened twice: %v", i, err)
		}
	}
	p.close()
	if b, err := os.ReadFile(raw); err != nil || b[sectorBytes] != 0xa5 || b[0] != 0 {
		t.Errorf("raw disk: %v", err)
	}
	if d, err := openDataDisk(image); err != nil {
		t.Errorf("after the run: %v", err)
	} else {
		d.f.Close()
	}
}

// A failure at the end is not lost where the guest ended with a status.
func TestAlso(t *testing.T) {
	failed := errors.New("disk full")
	said := stderrOf(t, func() {
		if err := also(exitStatus(3), failed); err != exitStatus(3) {
			t.Errorf("status 3 became %v", err)
		}
		if err := also(nil, failed); !errors.Is(err, failed) {
			t.Errorf("the failure became %v", err)
		}
		if err := also(exitStatus(3), nil); !errors.Is(err, exitStatus(3)) {
			t.Errorf("status 3 alone became %v", err)
		}
		if err := also(nil, nil); err != nil {
			t.Error(err)
		}
	})
	if said != "hvgo: disk full\n" {
		t.Errorf("said %q", said)
	}
}

// stderrOf gives what f writes to the standard error.
func stderrOf(t *testing.T, f func()) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	defer func(old *os.File) { os.Stderr = old }(os.Stderr)
	os.Stderr = out
	f()
	b, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
