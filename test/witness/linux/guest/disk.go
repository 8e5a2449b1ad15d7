// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/test/vm/pattern"
)

const (
	mib       = 1 << 20
	deviceAge = 30 * time.Second // a device that has not come by then does not come
	mountPath = "/mnt"
	dataName  = "data" // the file, which the host looks for on the image
)

// disk partitions the disk on VMBus, makes an ext4 file system by Debian's own
// tools, writes hvgo.mib MiB of test/vm/pattern to a file, and reads them back
// from the disk after a remount.
func disk(r *run) error {
	size, err := strconv.ParseInt(r.params["mib"], 10, 32)
	if err != nil {
		return fmt.Errorf("hvgo.mib: %w", err)
	}
	size *= mib
	dev, err := vmbusDisk()
	if err != nil {
		return err
	}
	r.set("device", dev)
	part, err := partition(dev)
	if err != nil {
		return err
	}
	clock := stopwatch(r)
	if err := tool("mkfs.ext4", "-q", "-F", "-L", "witness", part); err != nil {
		return err
	}
	clock("mkfs")
	if err := withMount(part, func() error { return writeData(size) }); err != nil {
		return err
	}
	clock("write")
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		return err
	}
	sum := uint64(0)
	if err := withMount(part, func() error { sum, err = readData(size); return err }); err != nil {
		return err
	}
	clock("read")
	r.set("bytes", size)
	r.set("sum", strconv.FormatUint(sum, 16))
	return nil
}

// stopwatch notes the time since the last call, or its making.
func stopwatch(r *run) func(name string) {
	last := time.Now()
	return func(name string) {
		now := time.Now()
		r.set(name+"_seconds", fmt.Sprintf("%.2f", now.Sub(last).Seconds()))
		last = now
	}
}

// vmbusDisk returns the first disk whose device hangs on VMBus.
func vmbusDisk() (dev string, err error) {
	return dev, waitFor("a disk on VMBus", func() bool {
		disks, _ := filepath.Glob("/sys/block/sd*")
		for _, d := range disks {
			real, err := filepath.EvalSymlinks(d)
			if err == nil && strings.Contains(strings.ToLower(real), "vmbus") {
				dev = "/dev/" + filepath.Base(d)
				return true
			}
		}
		return false
	})
}

// waitFor waits until something is there.
func waitFor(what string, there func() bool) error {
	for start := time.Now(); !there(); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > deviceAge {
			return fmt.Errorf("waited %v for %s", deviceAge, what)
		}
	}
	return nil
}

// partition makes a GPT with one partition and returns its device.
func partition(dev string) (string, error) {
	if err := tool("sgdisk", "--new=1:0:0", "--typecode=1:8300", "--change-name=1:witness", dev); err != nil {
		return "", err
	}
	part := dev + "1"
	return part, waitFor(part, func() bool { _, err := os.Stat(part); return err == nil })
}

// tool runs one of the programs that came along; an error holds what it said.
func tool(name string, args ...string) error {
	var out bytes.Buffer
	cmd := exec.Command("/sbin/"+name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(out.String()))
	}
	return nil
}

// withMount does something with the file system mounted.
func withMount(part string, f func() error) error {
	if err := os.MkdirAll(mountPath, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(part, mountPath, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", part, err)
	}
	err := f()
	if e := unix.Unmount(mountPath, 0); e != nil {
		err = errors.Join(err, fmt.Errorf("umount: %w", e))
	}
	return err
}

func writeData(size int64) (err error) {
	f, err := os.Create(filepath.Join(mountPath, dataName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := make([]byte, mib)
	for at := int64(0); at < size; at += int64(len(b)) {
		pattern.Fill(b, at)
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	return f.Sync()
}

// readData compares the file and returns its checksum.
func readData(size int64) (sum uint64, err error) {
	f, err := os.Open(filepath.Join(mountPath, dataName))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || fi.Size() != size {
		return 0, fmt.Errorf("the file has not %d bytes: %+v, %w", size, fi, err)
	}
	b := make([]byte, mib)
	for at := int64(0); at < size; at += int64(len(b)) {
		if _, err := io.ReadFull(f, b); err != nil {
			return 0, err
		}
		if i := pattern.Differs(b, at); i >= 0 {
			return 0, fmt.Errorf("other bytes at %d of the file than written", at+int64(i))
		}
		sum += pattern.Sum(b, at)
	}
	return sum, nil
}
