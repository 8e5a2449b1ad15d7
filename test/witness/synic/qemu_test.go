// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package synic

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/hvgo/hvgo/host/qemu"
)

// qemuEnv describes the QEMU to start, as package qemu writes it.
const qemuEnv = "HVGO_TEST_QEMU"

// onQEMU runs the checks on QEMU.
func onQEMU(t *testing.T, processors int, flags string) (r *Results, version string) {
	t.Helper()
	kernel := need(t, elfEnv)
	line := os.Getenv(qemuEnv)
	if line == "" {
		t.Skipf("%s is not set (hvgo vm-test sets it)", qemuEnv)
	}
	program, err := qemu.ParseProgram(line)
	if err != nil {
		t.Fatal(err)
	}
	if !program.Has(qemu.TestDevice) {
		t.Skipf("QEMU %s has no %s", program.Version, qemu.TestDevice)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out console
	var errs bytes.Buffer
	v, err := qemu.Start(ctx, qemu.Config{
		Program: program, Memory: 128 << 20, CPUs: processors, Flags: flags, Kernel: kernel,
		NoBalloon: true, TestDevice: true,
	}, &out, &errs)
	if err != nil {
		t.Fatal(err)
	}
	exit, err := v.Wait()
	if err != nil {
		t.Fatalf("%v: %s\nconsole:\n%s", err, errs.String(), &out)
	}
	if r, err = Parse(out.String()); err != nil {
		t.Fatalf("%v, ended with %v: %s\nconsole:\n%s", err, exit, errs.String(), &out)
	}
	if _, failed, _ := r.Counts(); failed == 0 && (exit.Reason != "guest-shutdown" || exit.Crashed) {
		t.Errorf("the guest did not power off, but ended by %q, crashed: %v", exit.Reason, exit.Crashed)
	}
	return r, program.Version
}
