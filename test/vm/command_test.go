// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hvgo/hvgo/image/vhdx"
	"github.com/hvgo/hvgo/test/vm/pattern"
)

// command is a running `hvgo run --native`.
type command struct {
	*exec.Cmd
	t       *testing.T
	console *console
	stderr  *console
	done    chan error
}

// hvgoRun starts hvgo run on a copy of an image.
func hvgoRun(t *testing.T, image string, args ...string) *command {
	t.Helper()
	return hvgoRunFile(t, need(t, image), args...)
}

// hvgoRunFile is hvgoRun with the image's file.
func hvgoRunFile(t *testing.T, image string, args ...string) *command {
	t.Helper()
	hvgo := need(t, hvgoCommand)
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "guest.vhdx")
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	args = append(append([]string{"run", "--native"}, args...), name)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	c := &command{exec.CommandContext(ctx, hvgo, args...), t, newConsole(), newConsole(), make(chan error, 1)}
	c.Stdout, c.Stderr = c.console, c.stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.done <- c.Wait() }()
	t.Cleanup(func() {
		cancel()
		if t.Failed() {
			out, _ := c.console.text()
			errs, _ := c.stderr.text()
			t.Logf("console:\n%s\nhvgo:\n%s", out, errs)
		}
	})
	return c
}

// waitFor waits until the guest's console, or what hvgo says, holds text.
func (c *command) waitFor(of *console, text string) {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		got, changed := of.text()
		if strings.Contains(got, text) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			c.t.Fatalf("no %q in %v", text, patience)
		}
	}
}

// interrupt presses Ctrl-C.
func (c *command) interrupt() {
	c.t.Helper()
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		c.t.Fatal(err)
	}
}

// status waits for the end and returns the exit status.
func (c *command) status() int {
	c.t.Helper()
	select {
	case err := <-c.done:
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			return e.ExitCode()
		} else if err != nil {
			c.t.Fatal(err)
		}
		return 0
	case <-time.After(patience):
		c.t.Fatal("hvgo does not end")
	}
	return -1
}

// TestInterrupt stops a guest by Ctrl-C: it ends cleanly, and what it wrote is in
// its disk.
func TestInterrupt(t *testing.T) {
	need(t, probeImage)
	dir := t.TempDir()
	list := filepath.Join(dir, "commands")
	text := make([]byte, 4096)
	copy(text, "fill /dev/sdc 16777216\nsigterm")
	if err := os.WriteFile(list, text, 0o644); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data.vhdx")
	d, err := vhdx.CreateFile(data, vhdx.Options{Size: 64 * mib})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	c := hvgoRun(t, probeImage, "--no-network", "--disk", list, "--disk", data)
	c.waitFor(c.console, "probe: waiting for SIGTERM")
	c.interrupt()
	if s := c.status(); s != 0 {
		t.Errorf("exit status %d", s)
	}
	c.waitFor(c.console, "probe: ok sigterm: terminated")
	c.waitFor(c.stderr, "hypercalls")
	if d, err = vhdx.OpenFile(data, true); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := make([]byte, 16*mib)
	if _, err := d.ReadAt(b, 0); err != nil || pattern.Differs(b, 0) >= 0 {
		t.Errorf("the disk differs at %d: %v", pattern.Differs(b, 0), err)
	}
}

// TestInterruptEarly stops a guest that has just been started.
func TestInterruptEarly(t *testing.T) {
	c := hvgoRun(t, helloImage, "--no-network")
	c.waitFor(c.console, "hvgo: Hyper-V")
	c.interrupt()
	if s := c.status(); s != 0 {
		t.Errorf("exit status %d", s)
	}
}

// TestInterruptTwice switches off a guest whose program takes no notice.
func TestInterruptTwice(t *testing.T) {
	c := hvgoRun(t, helloImage, "--no-network", "--no-disk")
	c.waitFor(c.console, "hvgo: Hyper-V")
	for range 2 {
		c.interrupt()
		c.waitFor(c.stderr, "asking the guest to shut down")
	}
	if s := c.status(); s != 130 && s != 0 { // 0: it was quicker than the second signal
		t.Errorf("exit status %d", s)
	}
}

// TestExitStatus passes a program's status on.
func TestExitStatus(t *testing.T) {
	for text, want := range map[string]int{"exit 5": 5, "crash": 2} {
		list := filepath.Join(t.TempDir(), "commands")
		b := make([]byte, 4096)
		copy(b, text)
		if err := os.WriteFile(list, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := hvgoRun(t, probeImage, "--no-network", "--disk", list).status(); got != want {
			t.Errorf("%s: exit status %d", text, got)
		}
	}
}
