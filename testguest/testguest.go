// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package testguest is what hvgo test links into a test program, with hvgo's
// runtime: before main it reads the job from the first disk (internal/testjob), so
// that the tests find their flags, their environment and the package's files; after
// main it writes their profiles to the second.
package testguest

import (
	"archive/tar"
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	_ "github.com/hvgo/hvgo" // the runtime, whose init comes before ours
	"github.com/hvgo/hvgo/internal/testjob"
	"github.com/hvgo/hvgo/runtime/trap"
)

func init() {
	disk := os.Getenv(testjob.DiskEnv)
	if !trap.Booted || disk == "" {
		return // started by Linux, or by hand
	}
	if err := begin(disk, os.Getenv(testjob.ResultsEnv)); err != nil {
		fmt.Fprintln(os.Stderr, "hvgo: the tests cannot start:", err)
		os.Exit(1)
	}
}

// block is how much of a disk is read or written at once, in bytes.
const block = 256 << 10

func begin(disk, results string) error {
	f, err := os.Open(disk)
	if err != nil {
		return err
	}
	defer f.Close()
	made := false
	j, err := testjob.Read(bufio.NewReaderSize(f, block), func(j testjob.Job, h *tar.Header, r io.Reader) error {
		if !made {
			if err := os.MkdirAll(j.Dir, 0o755); err != nil {
				return err
			}
			made = true
		}
		return testjob.Unpack(h, r)
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(j.Dir, 0o755); err != nil {
		return err
	}
	if err := os.Chdir(j.Dir); err != nil {
		return err
	}
	os.Unsetenv(testjob.DiskEnv)
	os.Unsetenv(testjob.ResultsEnv)
	if err := setEnv(append(j.Env, "PWD="+j.Dir)); err != nil {
		return err
	}
	os.Args = append(os.Args[:1], j.Args...)
	if results != "" {
		if err := os.MkdirAll(testjob.OutDir, 0o755); err != nil {
			return err
		}
		before := trap.BeforeExit
		trap.BeforeExit = func(status int) {
			if err := bringBack(results); err != nil {
				fmt.Fprintln(os.Stderr, "hvgo: the profiles are lost:", err)
			}
			before(status)
		}
	}
	fmt.Println(j.Begin)
	return nil
}

func setEnv(env []string) error {
	for _, e := range env {
		name, value, ok := strings.Cut(e, "=")
		if !ok {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

func bringBack(disk string) error {
	f, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, block)
	if err := testjob.WriteResults(w, testjob.OutDir); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
