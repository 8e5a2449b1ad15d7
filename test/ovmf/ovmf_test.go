// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package ovmf boots an image on firmware that nobody here wrote: OVMF, in QEMU's
// plain emulation. There is no Hyper-V there; the guest has to say so, what it found
// instead, how much memory and how many processors the firmware reports, and to switch
// the machine off.
package ovmf

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/image"
	"github.com/hvgo/hvgo/image/build"
	"github.com/hvgo/hvgo/test/witness"
)

const (
	qemu = "qemu-system-x86_64"
	// patience is for a machine that hangs: it is up after some seconds.
	patience = 5 * time.Minute
)

// firmwares are where Debian's ovmf package has the code and variables.
var firmwares = [][2]string{
	{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
	{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
}

// missing skips the test; where HVGO_REQUIRE_QEMU is set (make test), nothing may
// be missing.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("HVGO_REQUIRE_QEMU") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// firmware returns the files of the code and of fresh variables, in which Secure Boot
// is off.
func firmware(t *testing.T) (code, vars string) {
	t.Helper()
	for _, f := range firmwares {
		if _, err := os.Stat(f[1]); err == nil {
			return f[0], f[1]
		}
	}
	missing(t, "no OVMF: apt-get install ovmf")
	return "", ""
}

// buildHello makes the image as `hvgo build` does.
func buildHello(t *testing.T) string {
	t.Helper()
	r, err := build.Build(t.Context(), build.Options{
		Package: "./examples/hello", Dir: "../..", Output: filepath.Join(t.TempDir(), "hello.vhdx"), Format: image.DynamicVHDX,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Output
}

// machine is a configuration of QEMU, and what the guest has to say of it.
type machine struct {
	cpu        string
	memory     int // MiB
	processors int
	found      string // after "CPUID says:"
}

// machines vary what a guest may meet. 3 GiB is more than the 2 GiB that a q35 keeps
// below the registers of its devices, so from there on memory comes in two pieces.
var machines = []machine{
	{"max,-hypervisor", 256, 1, "no hypervisor"},
	{"max", 80, 1, tcg},
	{"max", 128, 2, tcg},
	{"max", 512, 4, tcg},
	{"max", 3 << 10, 1, tcg},
	{"max", 3 << 10, 4, tcg},
	{"max", 4 << 10, 2, tcg},
	{"max", 8 << 10, 1, tcg},
	{"max", 8 << 10, 4, tcg},
}

const tcg = `hypervisor "TCGTCGTCGTCG"`

// says is what the console must hold. The memory is exact: the guest counts all that
// the firmware describes as memory, which is what QEMU was given but for the 384 KiB
// of the old hole below 1 MiB, and rounds to the nearest MiB.
func (m machine) says() []string {
	return []string{
		"hvgo: this machine cannot run this image", "CPUID says: " + m.found, "Generation 2",
		fmt.Sprintf("the firmware reports %d MiB of memory, enabled processors: %d\r\n", m.memory, m.processors),
	}
}

// atATime is how many machines run at once: emulation takes a processor for each.
const atATime = 2

// TestNotHyperV boots the same VHDX that boots on Hyper-V.
func TestNotHyperV(t *testing.T) {
	f := start(t)
	row := witness.Start(t, "OVMF", fmt.Sprintf("boot of the VHDX on %d machines of %d MiB to %d GiB, 1 to 4 processors: both told right, "+
		"no Hyper-V told, power-off", len(machines), machines[1].memory, machines[len(machines)-1].memory>>10))
	row.SetVersion(version())
	turn := make(chan struct{}, atATime)
	for _, m := range machines {
		t.Run(fmt.Sprintf("%s %d MiB %d", m.cpu, m.memory, m.processors), func(t *testing.T) {
			t.Parallel()
			turn <- struct{}{}
			defer func() { <-turn }()
			text, err := f.run(t, m, "")
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			for _, want := range m.says() {
				if !strings.Contains(text, want) {
					t.Errorf("the console does not say %q:\n%s", want, text)
				}
			}
		})
	}
}

// TestTooLittleMemory is the floor: in 64 MiB OVMF itself comes up, but has not the
// room for a program of some 10 MiB, which it holds twice while it loads it. It says
// so, and does not start a part of it.
func TestTooLittleMemory(t *testing.T) {
	f := start(t)
	row := witness.Start(t, "OVMF", "64 MiB: the firmware comes up, and refuses the image for want of memory")
	row.SetVersion(version())
	const refusal = "BdsDxe: failed to load Boot0001"
	text, err := f.run(t, machine{"max", 64, 1, tcg}, refusal)
	if err != nil || !strings.Contains(text, refusal) || strings.Contains(text, "hvgo:") {
		t.Errorf("%v\n%s", err, text)
	}
}

// fixture is what all machines of a test use.
type fixture struct{ code, vars, disk string }

// start skips a test that cannot run, and builds the image.
func start(t *testing.T) fixture {
	t.Helper()
	if testing.Short() {
		t.Skip("starts QEMU: not with -short")
	}
	if _, err := exec.LookPath(qemu); err != nil {
		missing(t, err.Error())
	}
	code, vars := firmware(t)
	return fixture{code, vars, buildHello(t)}
}

// version is the firmware's, by the package that it came in.
func version() string {
	b, err := exec.Command("dpkg-query", "--show", "--showformat=${Version}", "ovmf").Output()
	if err != nil || len(b) == 0 {
		return "unknown"
	}
	return string(b)
}

// run runs a machine until it switches itself off, or says until if that is not empty,
// and returns what it wrote to COM1.
func (f fixture) run(t *testing.T, m machine, until string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, qemu,
		"-machine", "q35", "-accel", "tcg", "-cpu", m.cpu, "-m", strconv.Itoa(m.memory), "-smp", strconv.Itoa(m.processors),
		"-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio",
		"-drive", "if=pflash,format=raw,readonly=on,file="+f.code, "-drive", "if=pflash,format=raw,snapshot=on,file="+f.vars,
		"-drive", "format=vhdx,snapshot=on,file="+f.disk)
	out := &console{until: until, said: cancel}
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &errs
	err := cmd.Run()
	if until != "" && strings.Contains(out.text.String(), until) {
		err = nil // it was ended for that
	}
	if err != nil {
		err = fmt.Errorf("QEMU: %w (%v) %s", err, context.Cause(ctx), errs.String())
	}
	return out.text.String(), err
}

// console keeps what a machine writes, and calls said once until is in it.
type console struct {
	text  strings.Builder
	until string
	said  func()
}

func (c *console) Write(b []byte) (int, error) {
	c.text.Write(b)
	if c.until != "" && strings.Contains(c.text.String(), c.until) {
		c.said()
	}
	return len(b), nil
}
