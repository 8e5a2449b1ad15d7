// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// channels reads the disk from each processor, and then reports for each device on
// VMBus what Linux counted on its channels.
func channels(r *run) error {
	dev, err := vmbusDisk()
	if err != nil {
		return err
	}
	for cpu := range runtime.NumCPU() {
		if err := readFrom(cpu, dev); err != nil {
			return fmt.Errorf("read %s from processor %d: %w", dev, cpu, err)
		}
	}
	devices, err := filepath.Glob("/sys/bus/vmbus/devices/*")
	if err != nil {
		return err
	}
	for _, d := range devices {
		fields := map[string]string{"class": strings.Trim(text(filepath.Join(d, "class_id")), "{}")}
		dirs, err := filepath.Glob(filepath.Join(d, "channels", "*"))
		if err != nil {
			return err
		}
		for _, c := range dirs {
			var values []string
			for _, name := range []string{"subchannel_id", "cpu", "interrupts", "events", "in_mask", "out_mask"} {
				values = append(values, name+"="+text(filepath.Join(c, name)))
			}
			fields["channel."+text(filepath.Join(c, "subchannel_id"))] = strings.Join(values, " ")
		}
		r.event("device", fields)
	}
	return nil
}

// readFrom reads blocks past the page cache while it runs on one processor, whose
// channel the driver then uses.
func readFrom(cpu int, dev string) (err error) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- func() error {
			var set unix.CPUSet
			set.Set(cpu)
			if err := unix.SchedSetaffinity(0, &set); err != nil {
				return err
			}
			f, err := os.OpenFile(dev, os.O_RDONLY|unix.O_DIRECT, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			b, err := unix.Mmap(-1, 0, 64<<10, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE) // aligned
			if err != nil {
				return err
			}
			defer unix.Munmap(b)
			for i := range int64(64) {
				if _, err := f.ReadAt(b, i*mib); err != nil {
					return err
				}
			}
			return nil
		}()
	}()
	return <-done
}

// clock reports the time of day each time the host may look, until the host's clock has
// been followed for hvgo.clock.
func clock(r *run) error {
	d, err := time.ParseDuration(r.params["clock"])
	if err != nil {
		return errors.Join(errors.New("hvgo.clock"), err)
	}
	r.event("time", map[string]string{"unix": fmt.Sprint(time.Now().UnixNano())})
	time.Sleep(d)
	r.event("later", map[string]string{"unix": fmt.Sprint(time.Now().UnixNano())})
	return nil
}
