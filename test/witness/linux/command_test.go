// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/test/witness"
	"github.com/hvgo/hvgo/test/witness/linux/report"
)

// TestCommand boots by `hvgo run --kernel`, as a user does.
func TestCommand(t *testing.T) {
	const series, blank = "6.1", 64 * mib
	row := witness.Start(t, "Debian Linux", "hvgo run --kernel --initrd --append --disk: ext4 on the disk, powers off")
	dir, command := folder(t), os.Getenv("HVGO_TEST_COMMAND")
	if command == "" {
		t.Skip("HVGO_TEST_COMMAND names no hvgo (make witness sets it)")
	}
	disk := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(disk, make([]byte, blank), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o := options{tasks: []string{report.Disk}, params: map[string]string{"mib": "8"}}
	cmd := exec.CommandContext(ctx, command, "run", "--native", "--cpus", "2", "--memory", "384", "--no-network", "--disk", disk,
		"--kernel", filepath.Join(dir, "vmlinuz-"+series), "--initrd", filepath.Join(dir, "initrd-"+series+".img"), "--append", o.commandLine())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stderr.String(), out)
	}
	results := map[string]report.Line{}
	for text := range strings.Lines(string(out)) {
		l, ok, err := report.Parse(text)
		if err != nil {
			t.Error(err)
		}
		if ok && l.Event == "" {
			results[l.Task] = l
		}
	}
	for _, task := range []string{report.System, report.Disk, report.Dmesg, report.End} {
		if l, ok := results[task]; !ok || l.Error != "" {
			t.Errorf("task %s: %+v", task, l)
		}
	}
	if failed := results[report.End].Fields["failed"]; failed != "0" {
		t.Errorf("%s tasks failed\n%s", failed, out)
	}
	if strings.Contains(stderr.String(), "broke") {
		t.Error("hvgo run complains of Linux without --strict")
	}
	row.SetVersion(results[report.System].Fields["release"])
	t.Log(strings.TrimSpace(stderr.String()))
}
