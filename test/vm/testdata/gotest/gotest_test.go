// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package gotest is tested by hvgo test in the tests of whole guests: its tests end
// in all the ways that tests end.
package gotest

import (
	"flag"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

var dir = flag.String("dir", "", "the working directory that there should be")

func TestPass(t *testing.T) {
	t.Log("environment:", os.Getenv("HVGO_NOTE"))
	wd, err := os.Getwd()
	if err != nil || wd != *dir {
		t.Errorf("working directory %q, %v; want %q", wd, err, *dir)
	}
	b, err := os.ReadFile(filepath.Join("testdata", "words.txt"))
	if err != nil || string(b) != "from outside\n" {
		t.Errorf("testdata: %q, %v", b, err)
	}
	if err := os.WriteFile(filepath.Join(t.TempDir(), "x"), b, 0o644); err != nil {
		t.Error(err)
	}
}

// What is wrong with dup3's arguments counts before there being no such descriptor.
func TestDup3(t *testing.T) {
	for _, a := range [][3]uintptr{{999, 999, 0}, {999, 998, 1}} {
		if _, _, e := syscall.Syscall(syscall.SYS_DUP3, a[0], a[1], a[2]); e != syscall.EINVAL {
			t.Errorf("dup3%v: %v, want %v", a, e, syscall.EINVAL)
		}
	}
}

func TestFail(t *testing.T) { t.Error("meant to fail") }

func TestExit(t *testing.T) { os.Exit(3) }

func TestPanic(t *testing.T) { panic("meant to panic") }

func TestHang(t *testing.T) { time.Sleep(time.Hour) }

func BenchmarkLoop(b *testing.B) {
	n := 0
	for b.Loop() {
		n++
	}
}
