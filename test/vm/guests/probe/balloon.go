// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// balloonWait bounds how long the host may take to move the balloon.
const balloonWait = 2 * time.Minute

// balloon MIB waits until the host has taken that much memory, then until it has
// given it back, and writes to all that is there then. The collector's limit, which
// the runtime set, follows.
func balloon(args []string) (string, error) {
	want, err := strconv.ParseUint(strings.Join(args, ""), 10, 20)
	if err != nil {
		return "", fmt.Errorf("want MIB: %w", err)
	}
	const mib = 1 << 20
	before, err := freeMemory()
	if err != nil {
		return "", err
	}
	if before < (want+16)*mib {
		return "", fmt.Errorf("only %d MiB are free", before/mib)
	}
	limit := debug.SetMemoryLimit(-1)
	fmt.Printf("probe: %d MiB free, waiting for the balloon\n", before/mib)
	least, err := waitMemory(func(free uint64) bool { return free <= before-want*mib })
	if err != nil {
		return "", err
	}
	if err := waitLimit(func(now int64) bool { return now < limit-int64(want*mib/2) }); err != nil {
		return "", err
	}
	fmt.Printf("probe: %d MiB free, the host has its memory\n", least/mib)
	// What the program itself may have used meanwhile.
	const slack = 8 * mib
	back, err := waitMemory(func(free uint64) bool { return free >= before-slack })
	if err != nil {
		return "", err
	}
	if err := waitLimit(func(now int64) bool { return now >= limit-slack && now <= limit }); err != nil {
		return "", err
	}
	// More than there was while the balloon was large: pages that came back are used.
	if err := touch(least + (back-least)/2); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d, %d, %d MiB free", before/mib, least/mib, back/mib), nil
}

// touch writes to so many bytes and reads them back.
func touch(bytes uint64) error {
	b := make([]byte, bytes)
	for i := 0; i < len(b); i += 4096 {
		if b[i] != 0 {
			return fmt.Errorf("new memory holds %#x at %#x", b[i], i)
		}
		b[i] = byte(i >> 12)
	}
	for i := 0; i < len(b); i += 4096 {
		if b[i] != byte(i>>12) {
			return fmt.Errorf("memory lost what was written at %#x", i)
		}
	}
	return nil
}

// waitMemory waits until the free memory is as done wants it.
func waitMemory(done func(free uint64) bool) (uint64, error) {
	for deadline := time.Now().Add(balloonWait); ; time.Sleep(100 * time.Millisecond) {
		free, err := freeMemory()
		switch {
		case err != nil:
			return 0, err
		case done(free):
			return free, nil
		case time.Now().After(deadline):
			return 0, fmt.Errorf("%d KiB free after %v", free>>10, balloonWait)
		}
	}
}

// waitLimit waits until the collector's limit is as done wants it.
func waitLimit(done func(limit int64) bool) error {
	for deadline := time.Now().Add(balloonWait); ; time.Sleep(100 * time.Millisecond) {
		switch limit := debug.SetMemoryLimit(-1); {
		case done(limit):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("the memory limit is %d KiB after %v", limit>>10, balloonWait)
		}
	}
}

// freeMemory is MemFree of /proc/meminfo in bytes.
func freeMemory() (uint64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemFree:" {
			kib, err := strconv.ParseUint(f[1], 10, 54)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/meminfo has no MemFree")
}
