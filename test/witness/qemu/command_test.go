// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package qemu

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/hvgo/hvgo/test/witness"
)

// run is a running `hvgo run --qemu`.
type run struct {
	*exec.Cmd
	t       *testing.T
	console *console
	stderr  bytes.Buffer
}

// runImage starts the image of the probe as a user does, but for the two flags by
// which hvgo itself does so in the emulated machine.
func runImage(t *testing.T, appended string) *run {
	t.Helper()
	p := findProgram(t)
	hvgo, image := os.Getenv(hvgoCommand), os.Getenv(probeImage)
	if hvgo == "" || image == "" {
		t.Skipf("%s and %s are not set (make witness sets them)", hvgoCommand, probeImage)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r := &run{t: t, console: &console{changed: make(chan struct{})}}
	r.Cmd = exec.CommandContext(ctx, hvgo, "run", "--native", "--qemu", "--qemu-program", p.Encode(), "--memory", "128", "--append", appended, image)
	r.Stdout, r.Stderr = r.console, &r.stderr
	if err := r.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if t.Failed() {
			text, _ := r.console.text()
			t.Logf("console:\n%s\nhvgo:\n%s", text, r.stderr.String())
		}
	})
	return r
}

// ends waits for the command's end, and checks its exit status and what it said.
func (r *run) ends(status int, text string) {
	r.t.Helper()
	err := r.Wait()
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else if err != nil {
		r.t.Fatal(err)
	}
	if got != status || !strings.Contains(r.stderr.String(), text) {
		r.t.Errorf("exit status %d, want %d and %q", got, status, text)
	}
}

// TestCommand runs an image, and gets the program's exit status by QEMU's report of
// the guest's crash MSRs.
func TestCommand(t *testing.T) {
	r := witness.Start(t, "QEMU", "hvgo run --qemu IMAGE.vhdx: exit status of the program by the crash MSRs")
	c := runImage(t, `-- clock "exit 7"`)
	r.SetVersion(findProgram(t).Version)
	c.ends(7, "the program ended with status 7")
	if text, _ := c.console.text(); !strings.Contains(text, "probe: ok clock:") {
		t.Error("the program did not run")
	}
}

// TestCommandInterrupt switches a guest off by Ctrl-C.
func TestCommandInterrupt(t *testing.T) {
	c := runImage(t, "-- wait")
	for {
		text, changed := c.console.text()
		if strings.Contains(text, "probe: waiting") {
			break
		}
		<-changed
	}
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	c.ends(130, "switching the guest off")
}
