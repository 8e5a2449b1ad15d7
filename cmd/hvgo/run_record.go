// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/hvgo/hvgo/host/record"
)

// recording is the file of --record while the guest runs. A nil recording is none.
type recording struct {
	f *os.File
	r *record.Recorder
}

// planRecord checks the file of --record and remembers its whole path. It is made
// here, in the folder that the emulated machine will see.
func (p *runPlan) planRecord(path string) error {
	if path == "" {
		return nil
	}
	_, before := os.Lstat(path)
	f, err := p.openRecord(path)
	if err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	p.recordNew = errors.Is(before, fs.ErrNotExist)
	if err := f.Close(); err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	// The emulated machine sees folders at their true paths.
	if p.record, err = filepath.EvalSymlinks(path); err == nil {
		p.record, err = filepath.Abs(p.record)
	}
	if err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	return nil
}

// openRecord opens the file for a recording. Only an empty file or an old recording
// is written over.
func (p *runPlan) openRecord(path string) (_ *os.File, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file: give the name of a file", path)
	}
	if fi.Size() == 0 {
		return f, nil
	}
	if _, err := record.NewReader(f); errors.Is(err, record.ErrFormat) {
		return nil, fmt.Errorf("%s exists and is no recording: give another name, or remove it first", path)
	}
	_, err = f.Seek(0, io.SeekStart) // an old recording, perhaps a cut one
	return f, err
}

// dropRecord removes a file that this run made and nothing was recorded in.
func (p *runPlan) dropRecord() {
	if fi, err := os.Stat(p.record); p.recordNew && err == nil && fi.Size() == 0 {
		_ = os.Remove(p.record) // an empty file that stays does no harm
	}
}

// isRecord tells whether an open file is that of --record.
func (p *runPlan) isRecord(fi os.FileInfo) bool {
	if p.record == "" {
		return false
	}
	rec, err := os.Stat(p.record)
	return err == nil && os.SameFile(fi, rec)
}

// startRecord begins the recording that --record asked for.
func (p *runPlan) startRecord() (*recording, error) {
	if p.record == "" {
		return nil, nil
	}
	f, err := p.openRecord(p.record)
	if err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	if err = f.Truncate(0); err == nil {
		var r *record.Recorder
		if r, err = record.New(f, record.Options{Ended: func(line string) { say("--record: " + line) }}); err == nil {
			r.Note(p.recordNote())
			return &recording{f, r}, nil
		}
	}
	f.Close()
	return nil, fmt.Errorf("--record: %w", err)
}

// recordNote says what is recorded.
func (p *runPlan) recordNote() string {
	version := "hvgo"
	if info, ok := debug.ReadBuildInfo(); ok {
		version += " " + info.Main.Version
	}
	return fmt.Sprintf("%s, %d processors, %d MiB", version, p.cpus, p.memory/mib)
}

// recorder is nil if nothing is recorded.
func (r *recording) recorder() *record.Recorder {
	if r == nil {
		return nil
	}
	return r.r
}

// close ends the recording, after the machine.
func (r *recording) close() error {
	if r == nil {
		return nil
	}
	// In the emulated machine a full disk shows when the cache is written back.
	err := r.r.Close()
	if e := r.f.Sync(); err == nil {
		err = e
	}
	if e := r.f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	return nil
}
