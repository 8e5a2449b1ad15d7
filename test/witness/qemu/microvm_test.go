// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package qemu

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/qemu"
	"github.com/hvgo/hvgo/test/witness"
)

// TestMicroVM starts the probe on a machine without PCI, PIC and VMBus, whose ACPI is
// hardware-reduced: the program runs, and its end is a register in memory, which our
// page tables have to show.
func TestMicroVM(t *testing.T) {
	p := findProgram(t)
	row := witness.Start(t, "QEMU's microvm", "start by PVH on a hardware-reduced machine with Hyper-V's clock and timers, "+
		"power-off by the sleep register in memory")
	row.SetVersion(p.Version)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// A crash that is reported must not end QEMU: only the register may.
	args := append(p.Command[1:len(p.Command):len(p.Command)],
		"-accel", "kvm", "-machine", "microvm,acpi=on", "-cpu", "host,kvm=off,"+qemu.AllFlags, "-m", "128", "-action", "panic=none",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-kernel", os.Getenv(probeELF), "-append", "-- timers proc")
	var out, errs strings.Builder
	cmd := exec.CommandContext(ctx, p.Command[0], args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Errorf("QEMU: %v (%v) %s", err, ctx.Err(), errs.String())
	}
	for _, want := range []string{"no disks and no network", "probe: ok timers", "probe: ok proc", "probe: done"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the console does not say %q:\n%s", want, out.String())
		}
	}
}
