// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package pvh starts a kernel by loaders that nobody here wrote: those of QEMU, in
// its plain emulation. There is no Hyper-V there; the guest has to say so, and what it
// found instead, and to switch the machine off without UEFI: by the PM1 registers of a
// PC's ACPI, and by the sleep register, in memory, of a hardware-reduced machine.
package pvh

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/nested"
	"github.com/hvgo/hvgo/image/build"
	"github.com/hvgo/hvgo/test/witness"
)

const (
	installed = "qemu-system-x86_64"
	// patience is for a machine that hangs: it is up after some seconds.
	patience = 5 * time.Minute
)

// missing skips the test; where HVGO_REQUIRE_QEMU is set (make test), nothing may
// be missing.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("HVGO_REQUIRE_QEMU") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// emulator is a QEMU, and the folders that it is to be told of.
type emulator struct {
	path string
	data []string
}

// emulators are the installed QEMU, and the newer one that host/nested runs.
func emulators(t *testing.T) []emulator {
	t.Helper()
	if testing.Short() {
		t.Skip("starts QEMU: not with -short")
	}
	path, err := exec.LookPath(installed)
	if err != nil {
		missing(t, err.Error())
	}
	list := []emulator{{path, nil}}
	newer, data, err := nested.FindQEMU(t.Context(), func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	if newer != path {
		list = append(list, emulator{newer, data})
	}
	return list
}

// version is the first number in what QEMU says of itself.
func (e emulator) version(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(e.path, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(out))
	if len(f) < 4 {
		t.Fatalf("%s says %q", e.path, out)
	}
	return f[3]
}

// buildHello makes the kernel as `hvgo build` does.
func buildHello(t *testing.T) string {
	t.Helper()
	r, err := build.Build(t.Context(), build.Options{
		Package: "./examples/hello", Dir: "../..", Output: filepath.Join(t.TempDir(), "hello.elf"), ELF: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Output
}

// machine is a configuration of QEMU.
type machine struct {
	kind       string
	memory     int // MiB
	processors int
	cpu        string
	found      string // after "CPUID says:"
}

const tcg = `hypervisor "TCGTCGTCGTCG"`

// machines vary in where memory is and what ACPI says. SeaBIOS gives a pc and a q35
// an RSDT of ACPI 1.0; a microvm starts by qboot and is hardware-reduced.
var machines = []machine{
	{"pc", 64, 1, "max", tcg},
	{"pc", 5 << 10, 2, "max", tcg},
	{"q35", 256, 1, "max,-hypervisor", "no hypervisor"},
	{"q35", 3 << 10, 4, "max", tcg},
	{"q35", 8 << 10, 1, "max", tcg},
	{"microvm,acpi=on", 128, 2, "max", tcg},
	{"microvm,acpi=on", 6 << 10, 1, "max", tcg},
}

// TestPVH starts the same kernel everywhere. A machine that resets instead of
// switching off starts again, until patience ends.
func TestPVH(t *testing.T) {
	all := emulators(t)
	kernel := buildHello(t)
	for _, e := range all {
		version := e.version(t)
		t.Run(version, func(t *testing.T) {
			row := witness.Start(t, "QEMU's PVH loader", fmt.Sprintf("start of the ELF kernel on %d machines (pc, q35, microvm) of 64 MiB to 8 GiB: "+
				"memory and processors told right, no Hyper-V told, power-off by ACPI", len(machines)))
			row.SetVersion(version)
			for _, m := range machines {
				t.Run(fmt.Sprintf("%s %d MiB %d", m.kind, m.memory, m.processors), func(t *testing.T) {
					text := e.run(t, kernel, m)
					for _, want := range []string{
						"hvgo: this machine cannot run this image", "CPUID says: " + m.found, "Generation 2",
						fmt.Sprintf("%d MiB of memory, enabled processors: %d\r\n", m.memory, m.processors),
					} {
						if !strings.Contains(text, want) {
							t.Errorf("the console does not say %q:\n%s", want, text)
						}
					}
				})
			}
		})
	}
}

// TestNoPower: a machine without ACPI cannot be switched off from inside. The guest
// says so.
func TestNoPower(t *testing.T) {
	e := emulators(t)[0]
	kernel := buildHello(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := e.command(ctx, kernel, machine{"microvm,acpi=off", 128, 1, "max", tcg})
	const last = "it is halted now"
	out := &until{text: last, said: cancel}
	cmd.Stdout = out
	if err := cmd.Run(); err == nil || !strings.Contains(out.b.String(), last) {
		t.Errorf("%v\n%s", err, out.b.String())
	}
}

func (e emulator) command(ctx context.Context, kernel string, m machine) *exec.Cmd {
	args := []string{"-machine", m.kind, "-accel", "tcg", "-cpu", m.cpu, "-m", strconv.Itoa(m.memory), "-smp", strconv.Itoa(m.processors),
		"-display", "none", "-nodefaults", "-serial", "stdio", "-kernel", kernel, "-append", "console=ttyS0 LEVEL=debug -- -x"}
	for _, dir := range e.data {
		args = append(args, "-L", dir)
	}
	return exec.CommandContext(ctx, e.path, args...)
}

// run runs a machine until it switches itself off, and returns what it wrote to COM1.
func (e emulator) run(t *testing.T, kernel string, m machine) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs strings.Builder
	cmd := e.command(ctx, kernel, m)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("QEMU: %v (%v) %s\n%s", err, ctx.Err(), errs.String(), out.String())
	}
	return out.String()
}

// until keeps what is written, and calls said once text is in it.
type until struct {
	b    strings.Builder
	text string
	said func()
}

func (u *until) Write(p []byte) (int, error) {
	u.b.Write(p)
	if strings.Contains(u.b.String(), u.text) {
		u.said()
	}
	return len(p), nil
}
