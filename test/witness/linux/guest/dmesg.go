// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Priorities of the kernel's messages.
const (
	warning    = 4
	facilities = 8 // times the facility, plus the priority
)

// dmesg reports the kernel's messages that are warnings or worse, and those about
// Hyper-V; with hvgo.dmesg=all, all of them.
func dmesg(r *run) error {
	f, err := os.OpenFile("/dev/kmsg", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	b := make([]byte, 8192) // a record is never longer
	count := 0
	for {
		n, rerr := 0, error(nil)
		if err := raw.Read(func(fd uintptr) bool { n, rerr = unix.Read(int(fd), b); return true }); err != nil {
			return err
		}
		switch {
		case errors.Is(rerr, unix.EAGAIN):
			r.set("messages", count)
			return nil
		case errors.Is(rerr, unix.EPIPE): // overwritten before it was read
			r.event("lost", nil)
			continue
		case rerr != nil:
			return rerr
		}
		count++
		r.message(string(b[:n]))
	}
}

// message reports a record "priority,sequence,microseconds,flags;text" followed by
// lines of its own that begin with a space.
func (r *run) message(record string) {
	head, text, _ := strings.Cut(record, ";")
	text, _, _ = strings.Cut(text, "\n")
	fields := strings.Split(head, ",")
	priority, err := strconv.Atoi(fields[0])
	if err != nil || len(fields) < 3 {
		return
	}
	priority %= facilities
	if priority > warning && r.params["dmesg"] != "all" && !aboutHyperV(text) {
		return
	}
	r.event("message", map[string]string{"priority": strconv.Itoa(priority), "microseconds": fields[2], "text": text})
}

func aboutHyperV(text string) bool {
	text = strings.ToLower(text)
	for _, word := range []string{"hyper-v", "hyperv", "vmbus", "hv_"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
