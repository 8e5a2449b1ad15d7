// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command probe is the guest of the VM tests: a plain Go program that puts the
// runtime beneath it to the test. What it is to do are its arguments, one command
// each; without any, text in the first block of the second disk, a command on each
// line, ended by a zero byte. For each it prints
//
//	probe: ok COMMAND: what it found
//	probe: FAIL COMMAND: what is wrong
//
// and at the end "probe: done"; the exit status is 1 if a command failed. Some
// commands end the program themselves (ends.go).
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
)

// commands are all that there are. Each gets the words behind its name.
var commands = map[string]func(args []string) (string, error){
	// memory.go
	"gc": collect, "memory": fillMemory, "dontneed": dontNeed, "protect": protect, "balloon": balloon,
	// returned.go
	"returned": returned, "sparse": sparse, "full-files": fullFiles, "full-map": fullMap, "too-many-threads": tooManyThreads,
	// stack.go
	"stacks": growStacks, "syscall-stacks": growInSyscalls,
	// sched.go
	"preempt": preempt, "timers": timers, "nil": recoverFaults, "channels": channels, "signals": signals, "clock": clock,
	"cpu": vectorRegisters,
	// processors_unsafe.go
	"processors": processors, "wake": wake, "shootdown": shootdown, "busy": busy,
	// clock_unsafe.go
	"vdso": vdso, "read-clock": readClocks, "clock-order": clockOrder,
	// profile.go, itimer_unsafe.go
	"profile": profile, "profile-stress": profileStress, "intervals": intervals,
	// files.go
	"files": files, "proc": procFiles, "devices": devices, "pipes": pipes, "close-all": closeAll,
	// disk.go
	"fill": fillDisk, "sum": sumDisk, "disk-errors": diskErrors,
	// net.go
	"loopback": loopback, "udp": udp, "sockets": manySockets, "half-close": halfClose, "deadlines": deadlines,
	"dns": lookUp, "dial": dial, "udp-to": udpTo,
	// unix.go
	"unix": unixSockets, "interfaces": interfaces,
	// ends.go
	"exit": exit, "panic": panicNow, "crash": crash, "stack-overflow": overflow, "out-of-memory": outOfMemory,
	"fatal": fatal, "provoke": provoke, "sigterm": sigterm, "wait": wait,
}

const commandDisk = "/dev/sdb"

func main() {
	firstLimit = debug.SetMemoryLimit(-1)
	list, err := readCommands()
	if err != nil {
		fmt.Println("probe: FAIL commands:", err)
		os.Exit(1)
	}
	failed := false
	for _, line := range list {
		words := strings.Fields(line)
		detail, err := "", errors.New("no such command")
		if f := commands[words[0]]; f != nil {
			detail, err = f(words[1:])
		}
		if err != nil {
			failed = true
			fmt.Printf("probe: FAIL %s: %v\n", line, err)
			continue
		}
		fmt.Printf("probe: ok %s: %s\n", line, detail)
	}
	fmt.Println("probe: done")
	if failed {
		os.Exit(1)
	}
}

func readCommands() ([]string, error) {
	if len(os.Args) > 1 {
		return os.Args[1:], nil
	}
	f, err := os.Open(commandDisk)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var block [4096]byte
	n, err := f.ReadAt(block[:], 0)
	if err != nil {
		return nil, err
	}
	text, _, found := strings.Cut(string(block[:n]), "\x00")
	if !found {
		return nil, errors.New("the commands do not end")
	}
	list := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
	if len(list) == 0 {
		return nil, errors.New("there are none")
	}
	return list, nil
}
