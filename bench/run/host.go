// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// host is where the guests ran.
type host struct {
	CPU    string `json:"cpu"`    // of the machine with KVM
	CPUs   int    `json:"cpus"`   // of it
	Nested bool   `json:"nested"` // that machine is emulated itself
	Around string `json:"around"` // what emulates it, or the machine itself
}

// emulated begins the name that QEMU gives to a processor that it emulates.
const emulated = "QEMU TCG"

// hostHere describes the machine that the guests run on; around is where the
// command was started.
func hostHere(around string) host {
	cpu := cpuName()
	return host{CPU: cpu, CPUs: runtime.NumCPU(), Nested: strings.HasPrefix(cpu, emulated), Around: around}
}

// hostText describes this machine in words.
func hostText() string { return fmt.Sprintf("%s, %d processors", cpuName(), runtime.NumCPU()) }

func cpuName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if name, value, ok := strings.Cut(sc.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
