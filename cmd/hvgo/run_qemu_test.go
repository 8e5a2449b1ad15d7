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

	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/qemu"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/image/vhdx"
)

// emptyVHDX is a whole VHDX with nothing on it.
func emptyVHDX(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "empty.vhdx")
	d, err := vhdx.CreateFile(path, vhdx.Options{Size: 16 * mib})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestQEMUBadInput(t *testing.T) {
	image := emptyVHDX(t)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"port", []string{"--qemu", "-p", "0:80", image}, "no network card"},
		{"disk", []string{"--qemu", "--disk", image, image}, "no disks"},
		{"mask", []string{"--qemu", "--mask", "crash", image}, "--qemu-flags"},
		{"record", []string{"--qemu", "--record", text + "2", image}, "--record and --qemu"},
		{"strict", []string{"--qemu", "--strict", image}, "--strict and --qemu"},
		{"quirk", []string{"--qemu", "--quirk", "garbage", image}, "--quirk and --qemu"},
		{"balloon", []string{"--qemu", "--balloon", "16", image}, "--balloon and --qemu"},
		{"flags", []string{"--qemu", "--qemu-flags", "host,-device", image}, "no list of hv-* flags"},
		{"no flags", []string{"--qemu", "--qemu-flags", "", image}, "no list of hv-* flags"},
		{"flags without QEMU", []string{"--qemu-flags", "hv-passthrough", image}, "needs --qemu"},
		{"argument without QEMU", []string{"--qemu-arg", "-S", image}, "needs --qemu"},
		{"memory", []string{"--qemu", "--memory", "4", image}, "too little"},
		{"processors", []string{"--qemu", "--cpus", "65", image}, "1 to 64"},
		{"no image", []string{"--qemu", text + "3"}, "does not exist"},
		{"no VHDX", []string{"--qemu", text}, "is not a VHDX"},
		{"kernel and image", []string{"--qemu", "--kernel", text, image}, "is no Linux kernel"},
		{"command line", []string{"--qemu", "--append", "a\nb", image}, "one line"},
		{"another QEMU", []string{"--qemu", "--native", "--qemu-program", "{}", image}, "not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := newRoot()
			root.SetArgs(append([]string{"run"}, tt.args...))
			err := root.Execute()
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
	if _, err := os.Stat(text + "2"); err == nil {
		t.Error("a refused --record left a file")
	}
}

// TestQEMUImage gives an image without a program to a QEMU that has no firmware.
func TestQEMUImage(t *testing.T) {
	o := runOptions{image: emptyVHDX(t), memory: "64", cpus: 1, qemu: qemuOptions{on: true, flags: qemu.FewestFlags, program: "{}"}}
	o.kernel.append = defaultAppend
	p, err := o.planQEMU()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if _, err := p.boot(); err == nil || !strings.Contains(err.Error(), damagedImage) {
		t.Errorf("boot: %v", err)
	}
}

func TestMachineExit(t *testing.T) {
	params := [5]uint64{crashSignature, 7}
	for _, tt := range []struct {
		exit   qemu.Exit
		kind   vmm.ExitKind
		status string // of exitError
	}{
		{qemu.Exit{Reason: "guest-shutdown"}, vmm.Shutdown, "<nil>"},
		{qemu.Exit{Reason: "guest-panic", Crashed: true, Params: params}, vmm.Crash, "exit status 7"},
		{qemu.Exit{Reason: "guest-reset"}, vmm.Reset, machine.Exit{Kind: vmm.Reset}.String()},
		{qemu.Exit{Reason: "host-qmp-quit"}, vmm.Stopped, "exit status 130"},
		{qemu.Exit{}, vmm.Stopped, "exit status 130"},
	} {
		e := machineExit(tt.exit)
		text := "<nil>"
		if err := exitError(e, false); err != nil {
			text = err.Error()
		}
		if e.Kind != tt.kind || text != tt.status {
			t.Errorf("%+v: %v, %s", tt.exit, e, text)
		}
	}
}

func TestHVFlags(t *testing.T) {
	for _, ok := range []string{qemu.AllFlags, qemu.FewestFlags, qemu.Passthrough, "hv-passthrough,-hv-stimer", "hv-vendor-id=Microsoft"} {
		if !hvFlags.MatchString(ok) {
			t.Errorf("%q is refused", ok)
		}
	}
	if !slices.Contains(strings.Split(qemu.AllFlags, ","), "hv-enforce-cpuid") {
		t.Error("the default does not enforce CPUID")
	}
}
