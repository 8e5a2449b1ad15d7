// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nested

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCleanShares(t *testing.T) {
	base := t.TempDir()
	inner := filepath.Join(base, "a", "b")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		in      []Share
		want    []Share
		wantErr string
	}{
		{"inner is covered", []Share{{inner, true}, {base, true}}, []Share{{base, true}}, ""},
		{"read-only inner of writable", []Share{{base, true}, {inner, false}}, []Share{{base, true}}, ""},
		{"writable inner of read-only", []Share{{inner, true}, {base, false}}, []Share{{base, false}, {inner, true}}, ""},
		{"twice, stronger counts", []Share{{base, false}, {base + "/", true}}, []Share{{base, true}}, ""},
		{"a name's prefix is no folder", []Share{{inner, true}, {base + "/a", false}}, []Share{{base + "/a", false}, {inner, true}}, ""},
		{"file", []Share{{file, false}}, nil, "not a folder"},
		{"missing", []Share{{base + "/none", false}}, nil, "no such file"},
		{"root", []Share{{"/", true}}, nil, "cannot be shared"},
		{"proc", []Share{{"/proc/self", false}}, nil, "cannot be shared"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cleanShares(tt.in)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("error %v, want %q", err, tt.wantErr)
				}
				return
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestCheckStatic(t *testing.T) {
	text := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := CheckStatic(text); err == nil || !strings.Contains(err.Error(), "no Linux program") {
		t.Errorf("script: %v", err)
	}
	if err := CheckStatic("/bin/sh"); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("dynamic program: %v", err)
	}
}

func TestCredit(t *testing.T) {
	c := newCredit(10)
	if n := c.take(7); n != 7 {
		t.Errorf("take(7) = %d", n)
	}
	if n := c.take(7); n != 3 {
		t.Errorf("take(7) of 3 = %d", n)
	}
	got := make(chan int)
	go func() { got <- c.take(5) }()
	c.add(2)
	if n := <-got; n != 2 {
		t.Errorf("take(5) after add(2) = %d", n)
	}
	go func() { got <- c.take(5) }()
	c.close()
	if n := <-got; n != 0 {
		t.Errorf("take of closed = %d", n)
	}
}

func TestInputQueueLimit(t *testing.T) {
	q := newInputQueue()
	if err := q.push(make([]byte, stdinWindow)); err != nil {
		t.Fatal(err)
	}
	if err := q.push([]byte{1}); err == nil {
		t.Error("more than the window was taken")
	}
	if n := len(q.next()); n != stdinWindow {
		t.Errorf("next gave %d bytes", n)
	}
	if err := q.push(nil); err != nil {
		t.Fatal(err)
	}
	if b := q.next(); len(b) != 0 {
		t.Errorf("%d bytes after the end", len(b))
	}
}

func TestTail(t *testing.T) {
	c := &tail{max: 64}
	io.WriteString(c, strings.Repeat("x", 1000)+"\n")
	io.WriteString(c, "\x1b[1mlast\r\nwords\x07\r\n\n")
	if got := c.lastWords(); got != "words" {
		t.Errorf("lastWords = %q", got)
	}
	if n := len(c.String()); n > 64 {
		t.Errorf("kept %d bytes", n)
	}
	io.WriteString(c, "[1.0] Kernel panic - not syncing: why\n[1.1] Rebooting\n")
	if got := c.lastWords(); got != "[1.0] Kernel panic - not syncing: why" {
		t.Errorf("lastWords = %q", got)
	}
}

func TestNetdev(t *testing.T) {
	want := "user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:80-10.0.2.15:61000,hostfwd=tcp:0.0.0.0:8080-10.0.2.15:61001"
	if got := netdev([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:80"), netip.MustParseAddrPort("0.0.0.0:8080")}); got != want {
		t.Errorf("got %s", got)
	}
}

func TestNoQEMU(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := getEmulator(t.Context(), func(line string) { t.Log(line) })
	if err == nil || !strings.Contains(err.Error(), "install the Debian package qemu-system-x86") {
		t.Errorf("error %v", err)
	}
}

func TestQEMUDies(t *testing.T) {
	self, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	requireQEMU(t)
	q, err := startQEMU(Config{CPUs: 2, MemoryMiB: 64}, &emulator{path: qemuProgram}, &kernel{image: "/nonexistent/vmlinuz"}, self)
	if err != nil {
		t.Fatal(err)
	}
	defer q.kill()
	_, err = q.conn.Read(make([]byte, 1))
	if err == nil {
		t.Fatal("a QEMU without a kernel talks")
	}
	if err := q.explain(err); err == nil || !strings.Contains(err.Error(), "/nonexistent/vmlinuz") {
		t.Errorf("explanation %v", err)
	}
	if err := q.explain(errors.New("x")); !strings.Contains(err.Error(), "QEMU ended") {
		t.Errorf("explanation of another error after the end: %v", err)
	}
}

// TestQEMUVersion reads what a QEMU says of itself.
func TestQEMUVersion(t *testing.T) {
	dir := t.TempDir()
	for says, want := range map[string]int{
		"QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)": 7,
		"QEMU emulator version 10.0.2 (Debian)":              10,
		"another program":                                    0,
		"QEMU emulator version x.y":                          0,
	} {
		path := filepath.Join(dir, "qemu")
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+says+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := qemuVersion(t.Context(), path); got != want {
			t.Errorf("%q: %d, want %d", says, got, want)
		}
	}
	if got := qemuVersion(t.Context(), filepath.Join(dir, "none")); got != 0 {
		t.Errorf("no program: version %d", got)
	}
}
