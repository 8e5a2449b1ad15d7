// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hvgo/hvgo/host/ic"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/storvsp"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/image/vhdx"
)

// guest is a machine with its devices, made for one run.
type guest struct {
	m        *machine.Machine
	disks    []block // closed after the machine
	shutdown *ic.Shutdown
}

// runNative boots the guest on this computer's KVM and returns when it has
// ended.
func (p *runPlan) runNative(ctx context.Context, console io.Writer) (err error) {
	g, err := p.newGuest(console)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go g.obeySignals(ctx)
	go feedConsole(ctx, g.m.Input(), os.Stdin)
	start := time.Now()
	exit, err := g.m.Run(ctx)
	say(fmt.Sprintf("the guest ran for %.1f s; %s", time.Since(start).Seconds(), g.figures()))
	if err != nil {
		return err
	}
	return exitError(exit)
}

// newGuest opens the disks and puts the machine together.
func (p *runPlan) newGuest(console io.Writer) (*guest, error) {
	g := &guest{shutdown: ic.NewShutdown()}
	if err := p.assemble(g, console); err != nil {
		_ = g.close() // the first error is the one to report
		return nil, err
	}
	return g, nil
}

func (p *runPlan) assemble(g *guest, console io.Writer) error {
	for _, d := range append([]*diskFile{p.image}, p.disks...) {
		b, err := d.open()
		if err != nil {
			return err
		}
		g.disks = append(g.disks, b)
	}
	devices, err := p.devices(g)
	if err != nil {
		return err
	}
	boot := g.disks[0]
	g.m, err = machine.New(machine.Config{
		Memory: p.memory, VCPUs: p.cpus, BootDisk: boot, BootDiskSize: boot.Size(),
		Devices: devices, Console: console, Mask: p.mask, Log: p.logger(),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", p.image.path, err)
	}
	return nil
}

// devices are what the guest finds on its VMBus.
func (p *runPlan) devices(g *guest) ([]vmbus.Device, error) {
	if len(p.publish) > 0 {
		return nil, errors.New("--publish: guests have no network card yet")
	}
	devices := []vmbus.Device{g.shutdown}
	if !p.noDisk {
		c, err := storvsp.New(storvsp.Options{})
		if err != nil {
			return nil, err
		}
		for i, d := range g.disks {
			if err := c.AddDisk(uint8(i), d); err != nil {
				return nil, err
			}
		}
		devices = append(devices, c)
	}
	return devices, nil
}

func (p *runPlan) logger() *slog.Logger {
	level := slog.LevelWarn
	if p.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// close frees the machine, then the disks: the last writes reach the files here.
func (g *guest) close() error {
	var errs []error
	if g.m != nil {
		errs = append(errs, g.m.Close())
	}
	for _, d := range g.disks {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// shutdownTimeout bounds the wait for the guest's answer, not for its end.
const shutdownTimeout = 30 * time.Second

// obeySignals asks the guest to shut down at the first signal and switches it
// off at the second.
func (g *guest) obeySignals(ctx context.Context) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	select {
	case <-ctx.Done():
		return
	case <-signals:
		say("asking the guest to shut down; Ctrl-C again switches it off")
		go g.askShutdown(ctx)
	}
	select {
	case <-ctx.Done():
	case <-signals:
		say("switching the guest off")
		g.m.Stop()
	}
}

// askShutdown asks by way of the integration service.
func (g *guest) askShutdown(ctx context.Context) {
	ask, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	err := g.shutdown.RequestShutdown(ask, false, false)
	if err != nil && ctx.Err() == nil {
		say(fmt.Sprintf("the guest does not shut down: %v; Ctrl-C switches it off", err))
	}
}

// feedConsole passes input on to the guest's COM1, as fast as the guest reads.
func feedConsole(ctx context.Context, com1 io.Writer, in io.Reader) {
	const retry = 20 * time.Millisecond // the UART tells nobody when it has room again
	buf := make([]byte, 256)
	for {
		n, err := in.Read(buf)
		for b := buf[:n]; len(b) > 0 && ctx.Err() == nil; {
			done, err := com1.Write(b)
			if b = b[done:]; err != nil || done == 0 {
				time.Sleep(retry)
			}
		}
		if err != nil || ctx.Err() != nil {
			return
		}
	}
}

// figures says what the run cost so far.
func (g *guest) figures() string {
	f := g.m.Figures()
	text := fmt.Sprintf("%d exits, %d hypercalls", f.VM.Total,
		f.Hyperv.PostMessage+f.Hyperv.SignalEvent+f.Hyperv.Other)
	if used, ok := sharedMemory(); ok {
		text += fmt.Sprintf(", %s of its memory in use", mibText(used))
	}
	return text
}

// sharedMemory returns the resident shared memory of this process in bytes: the
// guest's RAM is the only such memory that it has.
func sharedMemory() (uint64, bool) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "RssShmem:" {
			kib, err := strconv.ParseUint(f[1], 10, 40)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

// crashSignature is P0 of a crash report that hvgo's runtime made ("HVGO"); P1
// is then the program's exit status.
const crashSignature = 0x4F475648

// exitError turns the guest's end into hvgo's exit status, and says what there
// is to say about it.
func exitError(e machine.Exit) error {
	switch {
	case e.Kind == vmm.Shutdown && e.Status == 0:
		return nil
	case e.Kind == vmm.Stopped:
		say("the guest was switched off")
		return exitStatus(130) // as a shell has it for SIGINT
	case e.Kind == vmm.Crash && e.Params[0] == crashSignature:
		if e.Message != "" {
			say("the guest: " + e.Message)
		}
		if status := e.Params[1]; status > 0 && status < 256 {
			return exitStatus(status)
		}
		return exitStatus(1)
	}
	if e.Detail != "" {
		say(e.Detail)
	}
	return errors.New(e.String())
}

// block is a disk that is open for the guest.
type block interface {
	storvsp.Backend
	io.Closer
}

// open opens a checked disk for the guest. The file stays locked.
func (d *diskFile) open() (block, error) {
	if !d.vhdx {
		fi, err := d.f.Stat()
		if err != nil {
			return nil, err
		}
		return rawDisk{d.f, fi.Size()}, nil
	}
	v, err := vhdx.Open(keepOpen{d.f}, false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path, err)
	}
	return vhdxDisk{v}, nil
}

// vhdxDisk gives a VHDX the names of a SCSI disk, whose blocks are sectors.
type vhdxDisk struct{ *vhdx.Disk }

func (d vhdxDisk) BlockSize() int { return d.SectorSize() }

// rawDisk is a file whose bytes are the disk's.
type rawDisk struct {
	*os.File
	size int64
}

func (d rawDisk) Flush() error   { return d.Sync() }
func (d rawDisk) Size() int64    { return d.size }
func (d rawDisk) BlockSize() int { return sectorBytes }
func (d rawDisk) ReadOnly() bool { return false }
func (d rawDisk) Close() error   { return nil } // the plan's
