// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// threads makes threads and lets them end, sends signals to them, runs loops that only
// a signal preempts, and takes profiles.
func threads(_ context.Context, r *random) error {
	var g group
	for range 4 {
		r := r.child()
		g.start(func() error { return ownThread(r) })
	}
	g.start(tightLoops)
	g.start(signals)
	if r.IntN(4) == 0 {
		g.start(profile)
	}
	return g.wait()
}

// ownThread runs on a goroutine that takes its thread along when it ends.
func ownThread(r *random) error {
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		tid := unix.Gettid()
		for range 8 {
			if err := unix.Tgkill(os.Getpid(), tid, unix.SIGURG); err != nil { // what the Go runtime preempts by
				ended <- fmt.Errorf("tgkill: %w", err)
				return
			}
			time.Sleep(time.Duration(r.IntN(500)) * time.Microsecond)
			if unix.Gettid() != tid {
				ended <- errors.New("a locked goroutine changed its thread")
				return
			}
		}
		ended <- nil
	}()
	return <-ended
}

// tightLoops makes no calls while the collector wants all goroutines to stop.
func tightLoops() error {
	var stop atomic.Bool
	var g group
	for range 2 {
		g.start(func() error {
			n := 0
			for !stop.Load() {
				n++
			}
			return nil
		})
	}
	runtime.GC()
	stop.Store(true)
	return g.wait()
}

// signals sends signals to the program, which come at least once if the last one was
// sent to a channel that is empty.
func signals() error {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGUSR1)
	defer signal.Stop(c)
	for range 8 {
		if err := unix.Kill(os.Getpid(), unix.SIGUSR1); err != nil {
			return fmt.Errorf("kill: %w", err)
		}
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			return errors.New("a signal did not come")
		}
	}
	return nil
}

// profile takes a CPU profile of some work.
func profile() error {
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		return err
	}
	sum := 0
	for start := time.Now(); time.Since(start) < 30*time.Millisecond; {
		sum += len(filled(4096, int64(sum)))
	}
	pprof.StopCPUProfile()
	spoil("threads", b.Bytes()[:1])
	if magic := []byte{0x1f, 0x8b}; !bytes.HasPrefix(b.Bytes(), magic) {
		return fmt.Errorf("a profile of %d bytes is none", b.Len())
	}
	return nil
}
