// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() {
	maps.Copy(commands, map[string]func([]string) (string, error){
		"interrupt": interrupt, "typed": typed, "raise": raise, "traceback": traceback, "fault": fault,
		"panic-on-fault": panicOnFault, "ignored": ignoredSignals, "sigwait": sigwait, "restart": restart,
		"provoke-busy": provokeBusy, // ends.go
	})
}

// interrupt waits for SIGINT as long as nobody reads the console.
func interrupt([]string) (string, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Println("probe: waiting for SIGINT")
	<-ctx.Done()
	return ctx.Err().Error(), nil
}

// typed reads the console, and gets SIGINT between what it reads.
func typed([]string) (string, error) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	defer signal.Reset(os.Interrupt)
	fmt.Println("probe: reading")
	var b [9]byte
	if _, err := io.ReadFull(os.Stdin, b[:]); err != nil {
		return "", err
	}
	<-c
	return fmt.Sprintf("%q", b[:]), nil
}

// raise SIGNAL sends it to the program, which does not handle it.
func raise(args []string) (string, error) {
	n := 0
	if _, err := fmt.Sscan(strings.Join(args, ""), &n); err != nil {
		return "", err
	}
	if err := syscall.Kill(os.Getpid(), syscall.Signal(n)); err != nil {
		return "", err
	}
	time.Sleep(time.Minute)
	return "", errors.New("it is still there")
}

// traceback [LEVEL] panics, with at least that GOTRACEBACK.
func traceback(args []string) (string, error) {
	if len(args) > 0 {
		debug.SetTraceback(args[0])
	}
	ready := make(chan struct{})
	go func() {
		close(ready)
		select {} // one more to be printed
	}()
	<-ready
	panic("with traceback")
}

// badAddress gives the address of memory that was mapped.
func badAddress() (*int, error) {
	b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	p := (*int)(unsafe.Pointer(&b[0]))
	return p, unix.Munmap(b)
}

// fault touches memory that is not there.
func fault([]string) (string, error) {
	p, err := badAddress()
	if err != nil {
		return "", err
	}
	return fmt.Sprint(*p), nil
}

// panicOnFault recovers from what fault ends in.
func panicOnFault([]string) (string, error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for range 20 {
		p, err := badAddress()
		if err != nil {
			return "", err
		}
		func() {
			defer func() {
				r, _ := recover().(interface{ Addr() uintptr })
				if r == nil || r.Addr() != uintptr(unsafe.Pointer(p)) {
					err = fmt.Errorf("recovered %v", r)
				}
			}()
			*p = 1
			err = errors.New("no fault")
		}()
		if err != nil {
			return "", err
		}
	}
	return "20 faults", nil
}

// ignoredSignals sends signals that are ignored to threads that wait: their calls go on.
func ignoredSignals([]string) (string, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signal.Ignore(syscall.SIGUSR2)
	defer signal.Reset(syscall.SIGUSR2)
	tid := unix.Gettid()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				_ = unix.Tgkill(os.Getpid(), tid, unix.SIGUSR2)
			}
		}
	}()
	ts := unix.NsecToTimespec(50e6)
	if err := unix.Nanosleep(&ts, nil); err != nil {
		return "", fmt.Errorf("nanosleep: %w", err)
	}
	return "none was noticed", nil
}

// sigwait takes blocked signals with rt_sigtimedwait, and waits for one with
// rt_sigsuspend, as signal(7) and sigwaitinfo(2) have it.
func sigwait([]string) (string, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	defer signal.Reset(syscall.SIGUSR1)
	const usr1 = uint64(1) << (unix.SIGUSR1 - 1)
	var old uint64
	mask := func(how int, set uint64) error {
		s := set
		return rawErr(unix.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(&s)), uintptr(unsafe.Pointer(&old)), 8)
	}
	if err := mask(unix.SIG_BLOCK, usr1); err != nil {
		return "", err
	}
	defer func() { _ = mask(unix.SIG_UNBLOCK, usr1) }()
	set, ts := usr1, unix.NsecToTimespec(20e6)
	var info [128]byte
	wait := func() (int, error) {
		n, _, e := unix.Syscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&ts)), 8, 0, 0)
		if e != 0 {
			return 0, e
		}
		return int(n), nil
	}
	if n, err := wait(); !errors.Is(err, unix.EAGAIN) {
		return "", fmt.Errorf("without a signal: %d, %v", n, err)
	}
	tid := unix.Gettid()
	if err := unix.Tgkill(os.Getpid(), tid, unix.SIGUSR1); err != nil {
		return "", err
	}
	if n, err := wait(); n != int(unix.SIGUSR1) || err != nil || info[0] != byte(unix.SIGUSR1) {
		return "", fmt.Errorf("one that is pending: %d, %v, %v", n, err, info[0])
	}
	ts = unix.NsecToTimespec(60e9)
	go func() {
		time.Sleep(10 * time.Millisecond)
		_ = unix.Tgkill(os.Getpid(), tid, unix.SIGUSR1)
	}()
	if n, err := wait(); n != int(unix.SIGUSR1) || err != nil {
		return "", fmt.Errorf("one that comes: %d, %v", n, err)
	}
	var none uint64
	go func() {
		time.Sleep(10 * time.Millisecond)
		_ = unix.Tgkill(os.Getpid(), tid, unix.SIGUSR1)
	}()
	if err := rawErr(unix.SYS_RT_SIGSUSPEND, uintptr(unsafe.Pointer(&none)), 8, 0, 0); !errors.Is(err, unix.EINTR) {
		return "", fmt.Errorf("rt_sigsuspend: %v", err)
	}
	if s := <-c; s != syscall.SIGUSR1 {
		return "", fmt.Errorf("the handler got %v", s)
	}
	if err := mask(unix.SIG_BLOCK, 0); err != nil || old&usr1 == 0 {
		return "", fmt.Errorf("the mask is %#x, %v", old, err)
	}
	return "4 waits", nil
}

func rawErr(nr, a, b, c, d uintptr) error {
	if _, _, e := unix.Syscall6(nr, a, b, c, d, 0, 0); e != 0 {
		return e
	}
	return nil
}

// restart interrupts calls that signal(7) says go on when the handler has SA_RESTART,
// as all of Go's have.
func restart([]string) (string, error) {
	c := make(chan os.Signal, 100)
	signal.Notify(c, syscall.SIGUSR1)
	defer signal.Reset(syscall.SIGUSR1)
	var word uint32
	event, err := unix.Eventfd(0, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(event)
	for name, call := range map[string]func() error{
		"futex": func() error {
			const wait = 0
			return rawErr(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&word)), wait, 0, 0)
		},
		"eventfd": func() error {
			var b [8]byte
			_, err := unix.Read(event, b[:])
			return err
		},
	} {
		tid, done := make(chan int), make(chan error, 1)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			tid <- unix.Gettid()
			done <- call()
		}()
		to := <-tid
		for range 3 {
			time.Sleep(5 * time.Millisecond)
			if err := unix.Tgkill(os.Getpid(), to, unix.SIGUSR1); err != nil {
				return "", err
			}
			<-c
		}
		const wake = 1
		for woken := false; !woken; {
			_, _, _ = unix.Syscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&word)), wake, 1)
			if name == "eventfd" {
				_, _ = unix.Write(event, []byte{1, 0, 0, 0, 0, 0, 0, 0})
			}
			select {
			case err := <-done:
				if err != nil {
					return "", fmt.Errorf("%s: %w", name, err)
				}
				woken = true
			case <-time.After(time.Millisecond):
			}
		}
		for len(c) > 0 {
			<-c
		}
	}
	return "they went on", nil
}
