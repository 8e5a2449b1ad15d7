// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package qemu

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/qemu"
)

// patience is for a guest that hangs: one is up after some seconds.
const patience = 3 * time.Minute

// Names of what is under test in the environment.
const (
	qemuProgram   = "HVGO_TEST_QEMU"
	qemuInstalled = "HVGO_TEST_QEMU_INSTALLED"
	probeELF      = "HVGO_TEST_QEMU_GUEST"
	probeImage    = "HVGO_TEST_QEMU_IMAGE"
	hvgoCommand   = "HVGO_TEST_COMMAND"
)

// vm is a guest in QEMU.
type vm struct {
	*qemu.VM
	t       testing.TB
	program *qemu.Program
	console *console
	trace   string
}

// console is what the guest writes to COM1.
type console struct {
	mu      sync.Mutex // guards what is below
	b       bytes.Buffer
	changed chan struct{} // closed and replaced when there is more
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
	return c.b.Write(p)
}

func (c *console) text() (string, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String(), c.changed
}

// findProgram reads which QEMU to start, or skips the test.
func findProgram(t testing.TB) *qemu.Program {
	t.Helper()
	hosttest.NeedKVM(t)
	line := os.Getenv(qemuProgram)
	if line == "" || os.Getenv(probeELF) == "" {
		t.Skipf("%s and %s are not set (make witness sets them)", qemuProgram, probeELF)
	}
	p, err := qemu.ParseProgram(line)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// boot starts the probe with commands for it; c may leave all of it open. The guest
// is killed at the end of the test, if it still runs.
func boot(t testing.TB, c qemu.Config, commands ...string) *vm {
	t.Helper()
	c.Kernel = os.Getenv(probeELF)
	c.CommandLine = `-- "` + strings.Join(commands, `" "`) + `"`
	return start(t, c)
}

// start starts any guest.
func start(t testing.TB, c qemu.Config) *vm {
	t.Helper()
	if c.Program == nil {
		c.Program = findProgram(t)
	}
	v := &vm{t: t, program: c.Program, console: &console{changed: make(chan struct{})}}
	v.trace = filepath.Join(t.TempDir(), "trace")
	c.Trace, c.TraceFile = []string{"vmbus_*", "hv_balloon_*"}, v.trace
	if c.Memory == 0 {
		c.Memory = 128 << 20
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	var errs bytes.Buffer
	var err error
	if v.VM, err = qemu.Start(ctx, c, v.console, &errs); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		<-v.Done()
		if t.Failed() {
			text, _ := v.console.text()
			trace, _ := os.ReadFile(v.trace)
			t.Logf("console:\n%s\nQEMU:\n%s\ntrace:\n%s", text, errs.String(), tail(trace))
		}
	})
	return v
}

// tail bounds what a failure logs.
func tail(b []byte) []byte { return b[max(0, len(b)-8<<10):] }

// waitFor waits until the console holds text.
func (v *vm) waitFor(text string) {
	v.t.Helper()
	for {
		got, changed := v.console.text()
		if strings.Contains(got, text) {
			return
		}
		select {
		case <-changed:
		case <-v.Done():
			if got, _ := v.console.text(); !strings.Contains(got, text) {
				v.t.Fatalf("the guest ended without %q", text)
			}
			return
		}
	}
}

// ends waits for the guest's end, which must be by its own will and without a crash,
// and checks that the console holds all the texts.
func (v *vm) ends(texts ...string) {
	v.t.Helper()
	exit, err := v.Wait()
	if err != nil {
		v.t.Fatal(err)
	}
	if exit.Reason != "guest-shutdown" || exit.Crashed {
		v.t.Errorf("the guest ended by %q, crashed: %v (%#x)", exit.Reason, exit.Crashed, exit.Params)
	}
	got, _ := v.console.text()
	for _, text := range append(texts, "probe: done") {
		if !strings.Contains(got, text) {
			v.t.Errorf("the console does not say %q", text)
		}
	}
	if strings.Contains(got, "probe: FAIL") {
		v.t.Error("a command of the probe failed")
	}
}

// traced returns what QEMU's devices saw.
func (v *vm) traced() []qemu.TraceLine {
	v.t.Helper()
	b, err := os.ReadFile(v.trace)
	if err != nil {
		v.t.Fatal(err)
	}
	return qemu.ParseTrace(b)
}
