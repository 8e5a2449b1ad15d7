// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package qemu

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/qemu"
	"github.com/hvgo/hvgo/test/witness"
)

// linuxFolder names the folder with Debian's kernels (test/witness/linux).
const linuxFolder = "HVGO_TEST_LINUX"

// said is what a guest sent, as QEMU saw it, up to and with its capabilities; nil
// while it has not come so far.
func said(trace []qemu.TraceLine) (list []string) {
	for _, l := range trace {
		switch l.Event {
		case "vmbus_initiate_contact": // behind the version come addresses
			version, _, _ := strings.Cut(l.Text, " target vp")
			list = append(list, l.Event+" "+version)
		case "vmbus_recv_message", "hv_balloon_incoming_version":
			list = append(list, l.Event+" "+l.Text)
		case "hv_balloon_incoming_caps":
			return append(list, l.Event+" "+l.Text)
		}
	}
	return nil
}

// waitSaid waits for the guest's capabilities.
func (v *vm) waitSaid() []string {
	v.t.Helper()
	for {
		if list := said(v.traced()); list != nil {
			return list
		}
		select {
		case <-v.Done():
			v.t.Fatal("the guest ended before it opened the balloon's channel")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestAsLinux compares what QEMU saw of our guest with what it saw of Debian's
// kernel: the versions, and each message and its size.
func TestAsLinux(t *testing.T) {
	p := findProgram(t)
	if !p.Has(qemu.Balloon) {
		t.Skipf("QEMU %s has no %s", p.Version, qemu.Balloon)
	}
	r := witness.Start(t, "QEMU vmbus-bridge, hv-balloon", "our guest's messages against Linux's")
	r.SetVersion(p.Version)
	folder := os.Getenv(linuxFolder)
	if folder == "" {
		t.Skipf("%s is not set (make witness sets it)", linuxFolder)
	}
	linux := start(t, qemu.Config{
		Memory: 512 * mib, Kernel: filepath.Join(folder, "vmlinuz-6.12"), Initrd: filepath.Join(folder, "initrd-6.12.img"),
		CommandLine: "console=ttyS0",
	})
	want := linux.waitSaid()
	linux.Kill()
	<-linux.Done()
	ours := boot(t, qemu.Config{}, "wait")
	got := ours.waitSaid()
	ours.Kill()
	// Linux says that it can add memory while it runs (bit 1), by 128 MiB (bits 2 to 5).
	const incoming = "hv_balloon_incoming_caps incoming caps "
	last := len(want) - 1
	if want[last] != incoming+"0x1f" || got[len(got)-1] != incoming+"0x1" {
		t.Errorf("capabilities: ours %q, Linux's %q", got[len(got)-1], want[last])
	}
	if !slices.Equal(got[:len(got)-1], want[:last]) {
		t.Errorf("QEMU saw of our guest\n\t%s\nand of Linux\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	r.SetExercised("versions, messages and their sizes up to Dynamic Memory's capabilities are those of Debian's kernel 6.12; ours has no hot add")
}
