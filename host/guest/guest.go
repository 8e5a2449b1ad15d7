// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package guest puts a machine and its devices together the way `hvgo run` wants
// them: a boot disk and data disks on one controller, a network card, integration
// services. The tests that boot a guest do it by the same code.
//
//	disks (vhdx.Disk, file) -> Block -> storvsp.Controller \
//	             ic.Shutdown, Heartbeat, TimeSync      -> machine.Machine
package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hvgo/hvgo/host/ic"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/storvsp"
	"github.com/hvgo/hvgo/host/vmbus"
)

// Config describes a guest.
type Config struct {
	// Machine is the machine without boot disk; New adds that and the devices. With
	// an Image the disks are for the guest only, and there may be none.
	Machine machine.Config
	// Disks are the guest's disks in the order of their LUNs. The first is booted
	// from, unless Machine has an Image. The guest's Close closes them, New's failure too.
	Disks []Block
	// NoDisk boots from the first disk, but offers the guest none.
	NoDisk bool
	// Storage adjusts the controller. Unless it says otherwise, the guest may have
	// as many channels as processors.
	Storage storvsp.Options
	// Now is the time of day that the guest is told by time synchronisation; nil
	// is time.Now.
	Now func() time.Time
}

// Guest is a machine with its devices, made for one run.
type Guest struct {
	*machine.Machine
	Shutdown  *ic.Shutdown
	Heartbeat *ic.Heartbeat
	TimeSync  *ic.TimeSync
	Storage   *storvsp.Controller // nil with NoDisk

	disks []Block // closed after the machine
}

// New puts the guest together. The caller runs it once and closes it.
func New(cfg Config) (*Guest, error) {
	g := &Guest{Shutdown: ic.NewShutdown(), Heartbeat: ic.NewHeartbeat(), TimeSync: ic.NewTimeSync(), disks: cfg.Disks}
	if err := g.assemble(cfg); err != nil {
		_ = g.Close() // the first error is the one to report
		return nil, err
	}
	return g, nil
}

func (g *Guest) assemble(cfg Config) (err error) {
	m := cfg.Machine
	if m.Image == nil {
		if len(g.disks) == 0 {
			return errors.New("no disk to boot from")
		}
		m.BootDisk, m.BootDiskSize = g.disks[0], g.disks[0].Size()
	}
	m.Devices = append(m.Devices, g.Shutdown, g.Heartbeat, g.TimeSync)
	if !cfg.NoDisk {
		if cfg.Storage.SubChannels == 0 && m.VCPUs > 1 {
			cfg.Storage.SubChannels = uint16(min(m.VCPUs, vmbus.MaxSubChannels+1) - 1)
		}
		if err := g.attachDisks(cfg.Storage); err != nil {
			return err
		}
		m.Devices = append(m.Devices, g.Storage)
	}
	if g.Machine, err = machine.New(m); err != nil {
		return err
	}
	g.TimeSync.SetClock(clock(g.Machine, cfg.Now))
	return nil
}

// clock is the guest's, with the time of day that now tells.
func clock(m *machine.Machine, now func() time.Time) ic.Clock {
	if now == nil {
		now = time.Now
	}
	return func() (time.Time, uint64, error) {
		reference, err := m.ReferenceTime()
		return now(), reference, err
	}
}

func (g *Guest) attachDisks(opt storvsp.Options) (err error) {
	if g.Storage, err = storvsp.New(opt); err != nil {
		return err
	}
	for i, d := range g.disks {
		if err := g.Storage.AddDisk(uint8(i), d); err != nil {
			return err
		}
	}
	return nil
}

// AskShutdown asks the guest to end its programs, as an administrator does, once
// it can be asked. It returns when the guest has answered, not when it has ended.
func (g *Guest) AskShutdown(ctx context.Context) error {
	if err := g.Shutdown.WaitReady(ctx); err != nil {
		return err
	}
	return g.Shutdown.RequestShutdown(ctx, false, false)
}

// Close frees the machine, then the disks: the last writes reach the files here.
func (g *Guest) Close() error {
	var errs []error
	if g.Machine != nil {
		errs = append(errs, g.Machine.Close())
	}
	for _, d := range g.disks {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// Figures are what a run cost so far.
type Figures struct {
	Exits      uint64 // of the guest to user space, hypercalls included
	Hypercalls uint64
	Memory     uint64 // bytes of its RAM in use; 0 if unknown
}

// Figures returns the counters so far, before Close. Memory is right with one
// guest in the process.
func (g *Guest) Figures() Figures {
	f := g.Machine.Figures()
	return Figures{
		Exits:      f.VM.Total,
		Hypercalls: f.Hyperv.PostMessage + f.Hyperv.SignalEvent + f.Hyperv.Other,
		Memory:     sharedMemory(),
	}
}

// String returns the figures on one line.
func (f Figures) String() string {
	text := fmt.Sprintf("%d exits, %d hypercalls", f.Exits, f.Hypercalls)
	if f.Memory > 0 {
		text += fmt.Sprintf(", %d MiB of its memory in use", f.Memory>>20)
	}
	return text
}

// sharedMemory returns the resident shared memory of this process in bytes, 0 if
// unknown: the guest's RAM is the only such memory that it has.
func sharedMemory() uint64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "RssShmem:" {
			kib, err := strconv.ParseUint(f[1], 10, 40)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}

// Block is a disk that is open for the guest.
type Block interface {
	storvsp.Backend
	io.Closer
}
