// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"strings"
)

// lateModules are those that a task loads.
const lateModules = "/late"

// mmio loads the driver of virtual PCI buses, which asks hv_vmbus for addresses from
// the windows that ACPI told it of, and then waits for a host that never tells what is on
// the bus. The host takes the device hvgo.pci away once it has seen the addresses;
// they must be free then.
func mmio(r *run) error {
	loaded := make(chan error, 1)
	go func() { loaded <- loadModules(lateModules, "") }() // the driver's probe is part of it
	window := ""
	if err := waitFor("addresses for the device", func() bool {
		window = owned(text("/proc/iomem"), r.params["pci"])
		return window != ""
	}); err != nil {
		return err
	}
	r.event("window", map[string]string{"addresses": window})
	if err := <-loaded; err != nil {
		return err
	}
	return waitFor("the addresses to be free", func() bool { return owned(text("/proc/iomem"), r.params["pci"]) == "" })
}

// owned picks the addresses of an owner from /proc/iomem, whose lines are
// "first-last : owner".
func owned(iomem, owner string) string {
	for line := range strings.Lines(iomem) {
		if addresses, name, ok := strings.Cut(strings.TrimSpace(line), " : "); ok && name == owner {
			return addresses
		}
	}
	return ""
}
