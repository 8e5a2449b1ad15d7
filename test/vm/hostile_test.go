// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/test/hostile"
)

// Command hostile as a guest, and as a Linux process.
const (
	hostileKernel = "HVGO_TEST_HOSTILE"
	hostileLinux  = "HVGO_TEST_HOSTILE_LINUX"
)

// hostilePatience is for thousands of calls, of which many rebuild files and memory.
const hostilePatience = 4 * time.Minute

// bootHostile runs the command as a guest to its end, and gives what it printed.
func bootHostile(t *testing.T, cpus int, args string) string {
	t.Helper()
	o := options{kernel: hostileKernel, noNetwork: true, Config: guest.Config{NoDisk: true, Machine: machine.Config{LoadOptions: "quiet -- " + args}}}
	v := boot(t, o.with(cpus))
	e := v.wait(hostilePatience)
	if e != (machine.Exit{Kind: vmm.Shutdown}) { // of status 0
		t.Errorf("ended with %v", e)
	}
	t.Logf("ended after %v", time.Since(v.start))
	text, _ := v.console.text()
	return text
}

// TestHostile makes random calls, and calls that take away what others use. The command
// itself counts descriptors and looks at the heap.
func TestHostile(t *testing.T) {
	for _, n := range []int{1, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			text := bootHostile(t, n, "-do random,race -n 300")
			for _, want := range []string{"hostile did random", "hostile did race"} {
				if !strings.Contains(text, want) {
					t.Errorf("the guest did not write %q", want)
				}
			}
		})
	}
}

// TestHostileErrors compares all answers with those of the Linux beneath, with one
// argument wrong at a time; with two on demand.
func TestHostileErrors(t *testing.T) {
	defer func(n int) { hostile.PerPair = n }(hostile.PerPair)
	if os.Getenv("HVGO_TEST_LONG") == "" {
		hostile.PerPair = 0
	}
	args := fmt.Sprintf("-do table -pairs %d", hostile.PerPair)
	text := bootHostile(t, 1, args)
	c := exec.CommandContext(t.Context(), need(t, hostileLinux), strings.Fields(args)...)
	c.Env = append(os.Environ(), "TMPDIR=/dev/shm")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("on Linux: %v\n%s", err, out)
	}
	linux, err := hostile.Parse(bytes.NewReader(out))
	if err != nil {
		t.Fatalf("on Linux: %v", err)
	}
	hvgo, err := hostile.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range hostile.Compare(linux, hvgo) {
		t.Error(w)
	}
}
