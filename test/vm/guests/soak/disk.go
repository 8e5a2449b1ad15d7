// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"sync"
)

// disk is a raw disk, overwritten in areas.
type disk struct {
	f    *os.File
	mu   sync.Mutex
	keys [diskAreas]int64 // of the pattern in each area; 0: unknown
}

const (
	diskSize  = 64 << 20
	diskAreas = 1024
	areaSize  = diskSize / diskAreas
)

func openDisk(name string) (*disk, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	var b [512]byte
	if _, err := f.ReadAt(b[:], diskSize-int64(len(b))); err != nil {
		return nil, fmt.Errorf("%s: %w: it has to have 64 MiB", name, err)
	}
	return &disk{f: f}, nil
}

// round has four goroutines, each with every fourth area: it checks what is there from
// an earlier round, and writes anew.
func (d *disk) round(_ context.Context, r *random) error {
	var g group
	for i := range 4 {
		r := r.child()
		g.start(func() error {
			return d.area(r, i+4*r.IntN(diskAreas/4))
		})
	}
	err := g.wait()
	if err == nil && r.IntN(4) == 0 {
		err = d.f.Sync()
	}
	return err
}

func (d *disk) area(r *random, n int) error {
	d.mu.Lock()
	key := d.keys[n]
	d.mu.Unlock()
	at, b := int64(n)*areaSize, make([]byte, areaSize)
	if key != 0 {
		if err := d.check(b, at, key); err != nil {
			return fmt.Errorf("from before: %w", err)
		}
	}
	key = r.Int64() | 1
	if _, err := d.f.WriteAt(filled(areaSize, key), at); err != nil {
		return err
	}
	clear(b)
	if err := d.check(b, at, key); err != nil {
		return err
	}
	d.mu.Lock()
	d.keys[n] = key
	d.mu.Unlock()
	return nil
}

func (d *disk) check(b []byte, at, key int64) error {
	if _, err := d.f.ReadAt(b, at); err != nil {
		return err
	}
	if err := verify("disk", b, key); err != nil {
		return fmt.Errorf("at %d of the disk: %w", at, err)
	}
	return nil
}
