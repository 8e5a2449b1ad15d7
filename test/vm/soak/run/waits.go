// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// watchWaits looks how long the busiest thread below a process runs, and how long it has
// to wait for a processor that others have. An emulated machine's processor is such a
// thread. The function that it returns ends it and gives a line.
func watchWaits(pid int) (end func() string) {
	stop, line := make(chan struct{}), make(chan string)
	go func() {
		var run, wait time.Duration
		look := time.NewTicker(5 * time.Second)
		defer look.Stop()
		for {
			select {
			case <-look.C:
				if r, w := busiest(pid); r > run { // it is gone at the end
					run, wait = r, w
				}
			case <-stop:
				line <- fmt.Sprintf("  outside: the busiest thread ran for %v and waited for a processor for %v",
					run.Round(time.Second), wait.Round(time.Second))
				return
			}
		}
	}()
	return func() string { close(stop); return <-line }
}

// busiest is the figures of the thread that ran longest, of a process and those below it
// (/proc/PID/task/TID/schedstat, Documentation/scheduler/sched-stats.rst: ns).
func busiest(pid int) (run, wait time.Duration) {
	var threads []string
	for _, p := range below(pid) {
		if list, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", p)); err == nil {
			threads = append(threads, list...)
		}
	}
	for _, thread := range threads {
		var r, w time.Duration
		if b, err := os.ReadFile(filepath.Join(thread, "schedstat")); err == nil {
			if n, _ := fmt.Sscan(string(b), &r, &w); n == 2 && r > run {
				run, wait = r, w
			}
		}
	}
	return run, wait
}

// below lists a process and those that it started, and those that they did.
func below(pid int) []int {
	pids := []int{pid}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return pids
	}
	parents := map[int]int{}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		_, rest, found := strings.Cut(string(b), ") ") // behind the name (proc_pid_stat(5))
		var state string
		var parent int
		if n, _ := fmt.Sscan(rest, &state, &parent); err != nil || !found || n != 2 {
			continue // it has ended
		}
		if child, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			parents[child] = parent
		}
	}
	for i := 0; i < len(pids); i++ {
		for child, parent := range parents {
			if parent == pids[i] {
				pids = append(pids, child)
			}
		}
	}
	return pids
}
