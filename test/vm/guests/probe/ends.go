// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// exit STATUS ends the program.
func exit(args []string) (string, error) {
	status, err := strconv.Atoi(strings.Join(args, ""))
	if err == nil {
		os.Exit(status)
	}
	return "", err
}

func panicNow([]string) (string, error) { panic("this is the end") }

// crash dereferences nil in a goroutine of its own.
func crash([]string) (string, error) {
	go func() {
		var p *int
		*p = 1
	}()
	select {}
}

// overflow recurses until the runtime stops it.
func overflow([]string) (string, error) {
	debug.SetMaxStack(1 << 20)
	n, err := descend(1<<30, 0)
	return fmt.Sprint(n), err
}

// outOfMemory takes more than the machine has.
func outOfMemory([]string) (string, error) {
	var held [][]byte
	for {
		b := make([]byte, 4<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		held = append(held, b)
		runtime.KeepAlive(held)
	}
}

// fatal ends in an error of the runtime's that cannot be recovered.
func fatal([]string) (string, error) {
	var mu sync.Mutex
	defer func() { _ = recover() }()
	mu.Unlock()
	return "", errors.New("went on")
}

// provoke WHAT makes the runtime beneath fail, as runtime/trap's provoke.go has it.
func provoke(args []string) (string, error) {
	const kernelProvoke, kernelMark = 0x10ff, 0x6c6c61636f677668
	what, err := strconv.Atoi(strings.Join(args, ""))
	if err != nil {
		return "", err
	}
	_, _, errno := syscall.Syscall6(kernelProvoke, uintptr(what), 0, 0, 0, 0, kernelMark)
	return "", errno
}

// provokeBusy is provoke while another processor is busy.
func provokeBusy(args []string) (string, error) {
	var busy atomic.Bool
	go keepBusy(&busy)
	for !busy.Load() {
		time.Sleep(time.Millisecond)
	}
	return provoke(args)
}

//go:noinline
func keepBusy(busy *atomic.Bool) {
	busy.Store(true)
	for busy.Load() {
	}
}

// sigterm waits until the host asks the guest to shut down, and obeys.
func sigterm([]string) (string, error) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	fmt.Println("probe: waiting for SIGTERM")
	s := <-c
	return s.String(), nil
}

// wait waits for ever, and handles no signal.
func wait([]string) (string, error) {
	fmt.Println("probe: waiting")
	select {}
}
