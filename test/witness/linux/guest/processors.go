// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// processors reports what Linux knows of each processor, and then moves each channel of
// VMBus to each processor and reads the disk, so that interrupts come there.
func processors(r *run) error {
	for block := range strings.SplitSeq(text("/proc/cpuinfo"), "\n\n") {
		fields := map[string]string{}
		for line := range strings.Lines(block) {
			name, value, _ := strings.Cut(line, ":")
			switch name = strings.TrimSpace(name); name {
			case "processor", "physical id", "siblings", "core id", "cpu cores", "apicid":
				fields[name] = strings.TrimSpace(value)
			}
		}
		r.event("processor", fields)
	}
	dev, err := vmbusDisk()
	if err != nil {
		return err
	}
	files, err := filepath.Glob("/sys/bus/vmbus/devices/*/channels/*/cpu")
	if err != nil {
		return err
	}
	for cpu := range runtime.NumCPU() {
		for _, name := range files {
			if err := os.WriteFile(name, []byte(strconv.Itoa(cpu)), 0); err != nil {
				return err
			}
			if got := text(name); got != strconv.Itoa(cpu) {
				return fmt.Errorf("%s says %q after %d was written", name, got, cpu)
			}
		}
		if err := readFrom(cpu, dev); err != nil {
			return fmt.Errorf("read %s with the interrupts on processor %d: %w", dev, cpu, err)
		}
	}
	r.set("channels", len(files))
	return nil
}
