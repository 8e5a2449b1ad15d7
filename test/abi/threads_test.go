// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package abi

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A thread has a name and credentials of its own, and /proc shows them.
func TestThread(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may change its credentials")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- threadOfItsOwn()
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if os.Getuid() != 0 || os.Geteuid() != 0 {
		t.Error("the other threads have changed, too")
	}
}

func threadOfItsOwn() error {
	name := append([]byte("worker"), 0)
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0); err != nil {
		return err
	}
	groups := [3]uint32{9, 4, 6}
	for _, c := range [][4]uintptr{
		{unix.SYS_SETGROUPS, 3, uintptr(unsafe.Pointer(&groups)), 0},
		{unix.SYS_SETRESGID, 11, 12, 13},
		{unix.SYS_SETRESUID, 21, 22, 23},
	} {
		if _, _, e := unix.RawSyscall(c[0], c[1], c[2], c[3]); e != 0 {
			return fmt.Errorf("call %d: %w", c[0], e)
		}
	}
	runtime.KeepAlive(groups)
	if _, _, e := unix.RawSyscall(unix.SYS_SETUID, 0, 0, 0); e != unix.EPERM {
		return fmt.Errorf("setuid to root: %v", e)
	}
	id := strconv.Itoa(unix.Gettid())
	for _, dir := range []string{"/proc/self/task/", "/proc/"} {
		text, err := os.ReadFile(dir + id + "/status")
		if err != nil {
			return err
		}
		lines := strings.Split(string(text), "\n")
		for _, want := range []string{"Pid:\t" + id, "Uid:\t21\t22\t23\t22", "Gid:\t11\t12\t13\t12", "Groups:\t4 6 9 ", "CapEff:\t0000000000000000"} {
			if !slices.Contains(lines, want) {
				return fmt.Errorf("%s%s/status has no line %q:\n%s", dir, id, want, text)
			}
		}
		if comm, err := os.ReadFile(dir + id + "/comm"); !bytes.Equal(comm, []byte("worker\n")) {
			return fmt.Errorf("comm is %q, %v", comm, err)
		}
	}
	return nil
}

// TestSignalsWhileThreadsEnd sends signals to the program while threads start and end:
// one that a thread was to take, and did not any more, is another's.
func TestSignalsWhileThreadsEnd(t *testing.T) {
	came := make(chan os.Signal, 1)
	signal.Notify(came, unix.SIGUSR1)
	defer signal.Stop(came)
	end := make(chan struct{})
	var threads sync.WaitGroup
	defer threads.Wait()
	defer close(end)
	threads.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				runtime.LockOSThread() // its thread ends with it
			}()
			<-ended
		}
	})
	const signals = 20
	for i := range signals {
		if err := unix.Kill(unix.Getpid(), unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		select {
		case <-came:
		case <-time.After(20 * time.Second):
			t.Fatalf("signal %d of %d was lost", i+1, signals)
		}
	}
}
