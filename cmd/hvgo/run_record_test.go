// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/record"
)

// A recording is written over nothing but an empty file or another recording.
func TestRecordFile(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		return p
	}
	disk := path("disk.img", strings.Repeat("\x00", 512))
	for bad, want := range map[string]string{
		disk:                            "is no recording",
		path("notes.txt", "my notes"):   "is no recording",
		dir:                             "directory",
		filepath.Join(dir, "no", "rec"): "no such file",
		"/dev/null":                     "no regular file",
	} {
		p := &runPlan{}
		if err := p.planRecord(bad); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "--record: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if b, err := os.ReadFile(disk); err != nil || len(b) != 512 {
		t.Errorf("the disk has %d bytes, %v", len(b), err)
	}
	for _, good := range []string{path("empty", ""), filepath.Join(dir, "new"), path("cut", "hvgo-rec"), path("old", recorded(t))} {
		p := &runPlan{cpus: 2, memory: 64 << 20, image: &diskFile{path: "/i.vhdx"}}
		if err := p.planRecord(good); err != nil {
			t.Errorf("%s: %v", good, err)
			continue
		}
		if args := p.args(); p.record != good || !slices.Contains(args, "--record") {
			t.Errorf("%s is passed on as %q, %q", good, p.record, args)
		}
		rec, err := p.startRecord()
		if err != nil {
			t.Fatal(err)
		}
		if err := rec.close(); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(good)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := record.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		all, err := r.ReadAll()
		if err != nil || len(all) != 1 || !strings.Contains(all[0].Text, "2 processors, 64 MiB") {
			t.Errorf("%s: %+v, %v", good, all, err)
		}
	}
}

// A run that ends before anything is recorded leaves no file, but what was there.
func TestRecordNotStarted(t *testing.T) {
	dir := t.TempDir()
	started, fresh, old := filepath.Join(dir, "started"), filepath.Join(dir, "fresh"), filepath.Join(dir, "old")
	if err := os.WriteFile(old, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{started, fresh, old} {
		p := &runPlan{}
		if err := p.planRecord(name); err != nil {
			t.Fatal(err)
		}
		if name == started {
			rec, err := p.startRecord()
			if err != nil {
				t.Fatal(err)
			}
			if err := rec.close(); err != nil {
				t.Fatal(err)
			}
		}
		p.close()
		if _, err := os.Stat(name); (err == nil) != (name != fresh) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func recorded(t *testing.T) string {
	var b strings.Builder
	r, err := record.New(&b, record.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.Note("old")
	r.Note("older")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRecordIsNoConsole(t *testing.T) {
	image, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	p := &runPlan{image: &diskFile{f: image}}
	name := filepath.Join(t.TempDir(), "both")
	if err := p.planRecord(name); err != nil {
		t.Fatal(err)
	}
	if f, err := p.openConsole(name); err == nil || !strings.Contains(err.Error(), "--record") {
		t.Errorf("console and recording in one file: %v", err)
		f.Close()
	}
}

// Without --record nothing is recorded.
func TestNoRecord(t *testing.T) {
	p := &runPlan{}
	if err := p.planRecord(""); err != nil || p.record != "" {
		t.Errorf("%q, %v", p.record, err)
	}
	rec, err := p.startRecord()
	if err != nil || rec.recorder() != nil || rec.close() != nil {
		t.Errorf("%v, %v", rec, err)
	}
}
