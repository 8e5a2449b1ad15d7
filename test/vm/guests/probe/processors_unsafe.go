// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// patience is for a machine that is itself emulated, on a busy host.
const patience = time.Minute

// currentCPU is the processor that we run on now.
func currentCPU() int {
	var cpu uint32
	if _, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); e != 0 {
		return -1
	}
	return int(cpu)
}

// processors checks that there are as many as the argument says, that Go uses all of
// them by itself, and that a busy program runs on each.
func processors(args []string) (string, error) {
	want, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return "", err
	}
	if n, procs := runtime.NumCPU(), runtime.GOMAXPROCS(0); n != want || procs != want || set.Count() != want {
		return "", fmt.Errorf("NumCPU %d, GOMAXPROCS %d, affinity %d, want %d", n, procs, set.Count(), want)
	}
	return spread(want)
}

// spread has n loops run until they have been on n processors. Each looks all the time
// which one it is on.
func spread(n int) (string, error) {
	turns := make([]atomic.Uint64, n)
	var seen atomic.Int64
	var over atomic.Bool
	start := time.Now()
	timer := time.AfterFunc(patience, func() { over.Store(true) })
	defer timer.Stop()
	err := parallel(n, func(int) error {
		for int(seen.Load()) < n && !over.Load() {
			cpu := currentCPU()
			if cpu < 0 || cpu >= n {
				return fmt.Errorf("on processor %d of %d", cpu, n)
			}
			if turns[cpu].Add(1) == 1 {
				seen.Add(1)
			}
		}
		return nil
	})
	if err == nil && int(seen.Load()) < n {
		err = fmt.Errorf("%d loops were on %d of %d processors in %v", n, seen.Load(), n, patience)
	}
	return fmt.Sprintf("all %d busy after %v", n, time.Since(start)), err
}

// busy leaves a loop running on each processor.
func busy([]string) (string, error) {
	for range runtime.NumCPU() {
		go func() {
			for turns := 0; ; turns++ {
			}
		}()
	}
	return spread(runtime.NumCPU())
}

// wake has a busy goroutine wake another while all other processors halt: it must run on
// one of them, and not where the busy one is.
func wake([]string) (string, error) {
	if runtime.NumCPU() < 2 {
		return "", errors.New("there is one processor")
	}
	const rounds = 20
	elsewhere := 0
	took := make([]time.Duration, 0, rounds)
	for range rounds {
		ask, answer := make(chan struct{}), make(chan int, 1)
		var done atomic.Bool
		go func() {
			<-ask
			answer <- currentCPU()
			done.Store(true)
		}()
		time.Sleep(5 * time.Millisecond) // until all have gone to sleep
		start := time.Now()
		mine := currentCPU()
		ask <- struct{}{}
		for !done.Load() { // busy: nothing is to be had here
		}
		took = append(took, time.Since(start))
		if <-answer != mine {
			elsewhere++
		}
	}
	slices.Sort(took)
	if elsewhere < rounds/2 {
		return "", fmt.Errorf("%d of %d woke on another processor", elsewhere, rounds)
	}
	return fmt.Sprintf("%d of %d on another processor, median %v, longest %v", elsewhere, rounds, took[rounds/2], took[rounds-1]), nil
}

// shootdown takes a page away again and again, while other processors read it: none may
// see what was there before, by a translation that it has kept.
func shootdown([]string) (string, error) {
	const rounds = 500
	b, err := unix.Mmap(-1, 0, 64<<10, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return "", err
	}
	defer unix.Munmap(b)
	word := (*uint64)(unsafe.Pointer(&b[0]))
	var round atomic.Uint64
	var over atomic.Bool
	reads := make([]atomic.Uint64, max(runtime.NumCPU()-1, 1))
	var readers sync.WaitGroup
	bad := make(chan error, len(reads))
	for i := range reads {
		readers.Go(func() {
			for !over.Load() {
				least := round.Load()
				got := atomic.LoadUint64(word)
				if got != 0 && got < least {
					bad <- fmt.Errorf("reader %d saw %d after %d was written", i, got, least)
					return
				}
				reads[i].Add(1)
			}
		})
	}
	var failed error
	for n := uint64(1); n <= rounds && failed == nil; n++ {
		if failed = unix.Madvise(b, unix.MADV_DONTNEED); failed != nil {
			break
		}
		if got := atomic.LoadUint64(word); got != 0 {
			failed = fmt.Errorf("%d in a page given back", got)
		}
		atomic.StoreUint64(word, n)
		round.Store(n)
		if n%50 == 0 && failed == nil {
			failed = allRead(reads, bad)
		}
	}
	over.Store(true)
	readers.Wait()
	select {
	case failed = <-bad:
	default:
	}
	total := uint64(0)
	for i := range reads {
		total += reads[i].Load()
	}
	return fmt.Sprintf("%d times, %d readers, %d reads", rounds, len(reads), total), failed
}

// allRead waits until each reader has read again.
func allRead(reads []atomic.Uint64, bad chan error) error {
	limit := time.Now().Add(patience)
	for i := range reads {
		for before := reads[i].Load(); reads[i].Load() == before; {
			if len(bad) > 0 {
				return <-bad
			}
			if time.Now().After(limit) {
				return fmt.Errorf("reader %d does not run", i)
			}
		}
	}
	return nil
}
