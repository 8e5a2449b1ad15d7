// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command init is PID 1 of a Linux guest whose only task is to start another kernel,
// /kernel.elf, by kexec-tools.
package main

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// line is the command line of the kernel that is started.
const line = `console=ttyS0 LEVEL=debug -- one "two words"`

func main() {
	fmt.Println("init:", start())
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) // comes back only with an error
}

// start says why it came back.
func start() error {
	for dir, kind := range map[string]string{"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(kind, dir, kind, 0, ""); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	for _, args := range [][]string{
		{"--load", "--kexec-syscall", "--type=elf-x86_64", "--args-linux", "--command-line=" + line, "/kernel.elf"},
		{"--exec"},
	} {
		if out, err := exec.Command("/sbin/kexec", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("kexec %s: %w: %s", args[0], err, out)
		}
	}
	return fmt.Errorf("kexec came back")
}
