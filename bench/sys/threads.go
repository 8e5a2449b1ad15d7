// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pingPong passes a token between two goroutines n times; each is prepared first.
func pingPong(n int, prepare func()) error {
	n = 2 * ((n + 1) / 2)
	to, fro, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		prepare()
		for range n / 2 {
			<-to
			fro <- struct{}{}
		}
		close(done)
	}()
	go func() {
		prepare()
		for range n / 2 {
			to <- struct{}{}
			<-fro
		}
	}()
	<-done
	return nil
}

// channelPingPong is one passage of a token: the threads have nothing to do with it.
func channelPingPong(n int) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	return pingPong(n, func() {})
}

// threadPingPong is the same with each goroutine tied to a thread of its own.
func threadPingPong(n int) error { return pingPong(n, runtime.LockOSThread) }

// loneThreadPingPong is threadPingPong with one processor for Go, so that no thread
// looks for work in between.
func loneThreadPingPong(n int) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	return threadPingPong(n)
}

// threadStart makes a thread, and ends it: a goroutine that ends locked ends its thread.
func threadStart(n int) error {
	done := make(chan struct{})
	for range n {
		go func() {
			runtime.LockOSThread()
			done <- struct{}{}
		}()
		<-done
	}
	return nil
}

// yieldPingPong is a sched_yield while another thread does the same.
func yieldPingPong(n int) error {
	var left atomic.Int64
	left.Store(int64(n))
	done := make(chan error, 2)
	for range 2 {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for left.Add(-1) >= 0 {
				if _, _, e := syscall.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0); e != 0 {
					done <- e
					return
				}
			}
			done <- nil
		}()
	}
	return errors.Join(<-done, <-done)
}

// spin burns a processor in a loop without calls until stop is set.
func spin(stop *atomic.Bool) {
	for !stop.Load() {
	}
}

// stopBusyWorld stops all goroutines while one is in a loop: only a signal can stop it.
func stopBusyWorld() ([]result, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	var stop atomic.Bool
	defer stop.Store(true)
	go spin(&stop)
	time.Sleep(20 * time.Millisecond)
	var m runtime.MemStats
	r := result{}
	for range 30 {
		d, _ := timed(func(int) error { runtime.ReadMemStats(&m); return nil }, 1)
		r.ns = append(r.ns, float64(d))
		time.Sleep(time.Millisecond)
	}
	r.ops = len(r.ns)
	return []result{r}, nil
}

// busySleep is by how much a sleep of 1 ms is late with one processor for Go and a
// goroutine in a loop: the time until that is preempted.
func busySleep() ([]result, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var stop atomic.Bool
	defer stop.Store(true)
	go spin(&stop)
	return lateness(20, time.Millisecond, func() { time.Sleep(time.Millisecond) }), nil
}

func sleepLate(ms, n int) ([]result, error) {
	d := time.Duration(ms) * time.Millisecond
	return lateness(n, d, func() { time.Sleep(d) }), nil
}

// lateness takes what a sleep of d lasts beyond d, n times: the median and the
// 99th percentile.
func lateness(n int, d time.Duration, sleep func()) []result {
	late := make([]float64, n)
	for i := range late {
		start := time.Now()
		sleep()
		late[i] = float64(time.Since(start) - d)
	}
	slices.Sort(late)
	return []result{{suffix: ", p50", ops: n, ns: []float64{late[n/2]}}, {suffix: ", p99", ns: []float64{late[n*99/100]}}}
}
