// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/bench"
)

const blockBytes = 4096

// diskJob reads or writes the disk past any cache.
func diskJob(ctx context.Context, j bench.Job, disk string) (bench.Result, error) {
	if disk == "" {
		return bench.Result{}, errors.New("there is no disk: " + bench.DiskEnv + " names none")
	}
	if j.Bytes%blockBytes != 0 {
		return bench.Result{}, fmt.Errorf("%d bytes are no number of blocks of %d", j.Bytes, blockBytes)
	}
	f, err := os.OpenFile(disk, os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return bench.Result{}, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return bench.Result{}, err
	}
	units := size / int64(j.Bytes)
	if units < 1 {
		return bench.Result{}, fmt.Errorf("%s has %d bytes, and the job wants %d at once", disk, size, j.Bytes)
	}
	return work(ctx, j, func(n int) (worker, error) {
		b, err := unix.Mmap(-1, 0, j.Bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE) // aligned
		if err != nil {
			return nil, err
		}
		for i := range b {
			b[i] = byte(i) // no zeros, which a disk may skip, and no page faults later
		}
		return &diskWorker{f: f, b: b, kind: j.Kind, units: units, random: rand.New(rand.NewPCG(uint64(n), 1))}, nil
	})
}

type diskWorker struct {
	f      *os.File
	b      []byte
	kind   string
	units  int64
	random *rand.Rand
}

func (w *diskWorker) do(i int) (err error) {
	unit := int64(i) % w.units
	if w.kind != bench.SequentialRead && w.kind != bench.SequentialWrite {
		unit = w.random.Int64N(w.units)
	}
	at := unit * int64(len(w.b))
	if w.kind == bench.RandomRead || w.kind == bench.SequentialRead {
		_, err = w.f.ReadAt(w.b, at)
		return err
	}
	if _, err = w.f.WriteAt(w.b, at); err == nil && w.kind == bench.SyncWrite {
		err = w.f.Sync()
	}
	return err
}

func (w *diskWorker) close() { _ = unix.Munmap(w.b) } // it was mapped
