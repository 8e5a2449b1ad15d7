// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// descend uses a frame of some size on each level and checks it on the way back.
//
//go:noinline
func descend(depth int, seed byte) (sum int, err error) {
	var frame [200]byte
	for i := range frame {
		frame[i] = seed + byte(i)
	}
	if depth > 0 {
		if sum, err = descend(depth-1, seed+1); err != nil {
			return 0, err
		}
	}
	for i := range frame {
		if frame[i] != seed+byte(i) {
			return 0, fmt.Errorf("depth %d: byte %d of the frame has changed", depth, i)
		}
	}
	return sum + 1, nil
}

// growStacks lets stacks of many goroutines grow while the collector shrinks others.
func growStacks([]string) (string, error) {
	const workers, depth = 16, 4000
	err := parallel(workers, func(w int) error {
		for round := range 3 {
			n, err := descend(depth, byte(w+round))
			if err != nil || n != depth+1 {
				return fmt.Errorf("%d levels: %w", n, err)
			}
			runtime.GC() // halves the stacks of goroutines that wait
		}
		return nil
	})
	return fmt.Sprintf("%d goroutines, %d levels", workers, depth), err
}

// growInSyscalls reads and writes with buffers that lie on the goroutine's own
// stack, at each depth of a stack that is about to grow: what serves the call must
// find them where the stack has moved to.
func growInSyscalls([]string) (string, error) {
	const workers, depth = 8, 120
	err := parallel(workers, func(w int) error {
		f, err := os.CreateTemp("", "stack")
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		defer f.Close()
		var p [2]int
		if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
			return err
		}
		defer syscall.Close(p[0])
		defer syscall.Close(p[1])
		for round := range 5 {
			done := make(chan error)
			go func() { // a new stack, as small as can be
				done <- callDown(depth, p, int(f.Fd()), byte(w*16+round))
			}()
			if err := <-done; err != nil {
				return err
			}
		}
		return nil
	})
	return fmt.Sprintf("%d goroutines, %d levels", workers, depth), err
}

//go:noinline
func callDown(depth int, p [2]int, file int, seed byte) error {
	var out, in [96]byte
	for i := range out {
		out[i] = seed ^ byte(i)
	}
	// Raw calls: package os would copy nothing either, but make the buffers escape.
	if n, err := syscall.Write(p[1], out[:]); err != nil || n != len(out) {
		return fmt.Errorf("write to the pipe: %d, %w", n, err)
	}
	if n, err := syscall.Read(p[0], in[:]); err != nil || n != len(in) {
		return fmt.Errorf("read from the pipe: %d, %w", n, err)
	}
	if in != out {
		return errors.New("the pipe gave back something else")
	}
	in = [96]byte{}
	at := int64(depth) * int64(len(out))
	if n, err := syscall.Pwrite(file, out[:], at); err != nil || n != len(out) {
		return fmt.Errorf("write to the file: %d, %w", n, err)
	}
	if n, err := syscall.Pread(file, in[:], at); err != nil || n != len(in) {
		return fmt.Errorf("read from the file: %d, %w", n, err)
	}
	if in != out {
		return errors.New("the file gave back something else")
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(file, &st); err != nil || st.Size == 0 {
		return fmt.Errorf("size %d: %w", st.Size, err)
	}
	if depth > 0 {
		if err := callDown(depth-1, p, file, seed+1); err != nil {
			return err
		}
	}
	for i := range out {
		if out[i] != seed^byte(i) {
			return errors.New("a buffer on the stack has changed")
		}
	}
	return nil
}
