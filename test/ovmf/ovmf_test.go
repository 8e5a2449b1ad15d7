// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package ovmf boots an image on firmware that nobody here wrote: OVMF, in QEMU's
// plain emulation. There is no Hyper-V there; the guest has to say so, and what it
// found instead, and to switch the machine off.
package ovmf

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/image"
	"github.com/hvgo/hvgo/image/build"
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

// firmware returns the code's file, and a copy of the variables to write to.
func firmware(t *testing.T) (code, vars string) {
	t.Helper()
	for _, f := range firmwares {
		b, err := os.ReadFile(f[1])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		vars := filepath.Join(t.TempDir(), "vars.fd")
		if err := errors.Join(err, os.WriteFile(vars, b, 0o600)); err != nil {
			t.Fatal(err)
		}
		return f[0], vars
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

// TestNotHyperV is the same VHDX that boots on Hyper-V.
func TestNotHyperV(t *testing.T) {
	if testing.Short() {
		t.Skip("starts QEMU: not with -short")
	}
	if _, err := exec.LookPath(qemu); err != nil {
		missing(t, err.Error())
	}
	code, vars := firmware(t)
	disk := buildHello(t)
	for _, tt := range []struct{ name, cpu, found string }{
		{"no hypervisor", "max,-hypervisor", "CPUID says: no hypervisor"},
		{"QEMU", "max", `CPUID says: hypervisor "TCGTCGTCGTCG"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := run(t, "-cpu", tt.cpu, "-drive", "if=pflash,format=raw,readonly=on,file="+code,
				"-drive", "if=pflash,format=raw,file="+vars, "-drive", "format=vhdx,file="+disk)
			for _, want := range []string{"hvgo: this machine cannot run this image", tt.found, "Generation 2"} {
				if !strings.Contains(text, want) {
					t.Errorf("the console does not say %q:\n%s", want, text)
				}
			}
		})
	}
}

// run runs a machine until it switches itself off, and returns what it wrote to COM1.
func run(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	args = append([]string{
		"-machine", "q35", "-accel", "tcg", "-m", "256", "-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio",
	}, args...)
	cmd := exec.CommandContext(ctx, qemu, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("QEMU: %v (%v)\n%s\n%s", err, context.Cause(ctx), errs.String(), out.String())
	}
	return out.String()
}
