// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/test/witness/linux/report"
)

// tasks are all that the guest can do. A new one is a function in a file of its own
// and a line here; its name goes into hvgo.tasks= and its parameters, if any, into
// hvgo.KEY=VALUE on the kernel's command line, which the test makes
// (options.tasks, options.params). It notes results by run.set, tells the host of
// something to act on by run.event, and returns an error when Linux did not get what
// it wanted: the test shows both.
var tasks = map[string]func(*run) error{
	report.System:   system,
	report.Disk:     disk,
	report.Shutdown: shutdown,
	report.MMIO:     mmio,
	report.Balloon:  balloon,
	report.Link:     link,
	report.Unload:   unload,
	report.Dmesg:    dmesg,
	report.Network:  network,
	report.Channels: channels,
	report.Clock:    clock,

	report.Rechannel:  rechannel,
	report.Processors: processors,
}

// system notes which kernel this is and what it found: bus.CLASS is the driver of a
// class of devices on VMBus.
func system(r *run) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	r.set("release", unix.ByteSliceToString(u.Release[:]))
	r.set("version", unix.ByteSliceToString(u.Version[:]))
	devices, err := filepath.Glob("/sys/bus/vmbus/devices/*")
	if err != nil {
		return err
	}
	for _, dev := range devices {
		class := strings.Trim(text(filepath.Join(dev, "class_id")), "{}")
		driver := "none"
		if path, err := os.Readlink(filepath.Join(dev, "driver")); err == nil {
			driver = filepath.Base(path)
		}
		r.set("bus."+class, driver)
	}
	r.set("devices", len(devices))
	r.set("clocksource", text("/sys/devices/system/clocksource/clocksource0/current_clocksource"))
	r.set("cpus", text("/sys/devices/system/cpu/online"))
	r.set("rtc", text("/sys/class/rtc/rtc0/name"))
	return nil
}

// text is a small file's contents without white space around it; empty if it cannot
// be read.
func text(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
