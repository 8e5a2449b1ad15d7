// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// reportDelay is for how many seconds hv_balloon sends no status reports at first.
const reportDelay = "/sys/module/hv_balloon/parameters/pressure_report_delay"

// balloonAge is how long the host may take to move memory.
const balloonAge = 90 * time.Second

// balloon has the host take mib MiB and give them back, and watches the memory that
// the kernel counts as its own. Then it uses as much, in part what came back.
func balloon(r *run) error {
	size, err := strconv.ParseUint(r.params["mib"], 10, 20)
	if err != nil || size == 0 {
		return fmt.Errorf("parameter mib: %q", r.params["mib"])
	}
	size <<= 20
	if err := os.WriteFile(reportDelay, []byte("0"), 0); err != nil {
		return err
	}
	before, err := memory("MemTotal")
	if err != nil {
		return err
	}
	r.event("ready", nil)
	least, err := waitTotal(func(total uint64) bool { return total+size <= before })
	if err != nil {
		return fmt.Errorf("the host takes no memory: %w", err)
	}
	r.set("kib_before", before>>10)
	r.set("kib_least", least>>10)
	r.event("less", nil)
	back, err := waitTotal(func(total uint64) bool { return total >= before })
	if err != nil {
		return fmt.Errorf("the host gives no memory back: %w", err)
	}
	r.set("kib_back", back>>10)
	return touch(size)
}

// waitTotal waits until the kernel's memory is as done wants it.
func waitTotal(done func(total uint64) bool) (uint64, error) {
	for end := time.Now().Add(balloonAge); ; time.Sleep(50 * time.Millisecond) {
		total, err := memory("MemTotal")
		switch {
		case err != nil || done(total):
			return total, err
		case time.Now().After(end):
			return 0, fmt.Errorf("MemTotal is %d KiB after %v", total>>10, balloonAge)
		}
	}
}

// memory returns a line of /proc/meminfo in bytes.
func memory(name string) (uint64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name+":" && f[2] == "kB" {
			kib, err := strconv.ParseUint(f[1], 10, 40)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/meminfo has no " + name)
}

// touch uses so many bytes of memory.
func touch(bytes uint64) error {
	b := make([]byte, bytes)
	for i := 0; i < len(b); i += 4096 {
		if b[i] != 0 {
			return fmt.Errorf("new memory holds %#x", b[i])
		}
		b[i] = byte(i >> 12)
	}
	for i := 0; i < len(b); i += 4096 {
		if b[i] != byte(i>>12) {
			return errors.New("memory lost what was written")
		}
	}
	return nil
}
