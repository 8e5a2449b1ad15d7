// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// shutdownAge is how long the host may take to ask.
const shutdownAge = 60 * time.Second

// shutdown tells the host that it may ask, and waits until the kernel runs
// /sbin/poweroff for it.
func shutdown(r *run) error {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGUSR2)
	defer signal.Stop(asked)
	r.event("ready", nil)
	select {
	case <-asked:
		return nil
	case <-time.After(shutdownAge):
		return errors.New("the kernel ran no /sbin/poweroff")
	}
}

// poweroffAsked is /sbin/poweroff: it tells PID 1, as a real one tells its init.
func poweroffAsked() {
	if err := unix.Kill(1, unix.SIGUSR2); err != nil {
		os.Exit(1)
	}
}
