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
	"syscall"
	"time"

	"github.com/hvgo/hvgo/host/firmware"
	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/image/vhdx"
)

// runNative boots the guest on this computer's KVM and returns when it has
// ended.
func (p *runPlan) runNative(ctx context.Context, console io.Writer) (err error) {
	log := p.logger()
	net, err := p.newNetwork(log)
	if err != nil {
		return err
	}
	defer func() { err = also(err, net.close()) }()
	rec, err := p.startRecord()
	if err != nil {
		return err
	}
	defer func() { err = also(err, rec.close()) }()
	g, err := p.newGuest(console, net, rec, log)
	if err != nil {
		return err
	}
	defer func() { err = also(err, g.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go obeySignals(ctx, g)
	go feedConsole(ctx, g.Input(), os.Stdin)
	start := time.Now()
	net.started(g)
	go p.balloon.take(ctx)
	exit, err := g.Run(ctx)
	say(fmt.Sprintf("the guest ran for %.1f s; %s", time.Since(start).Seconds(), g.Figures()))
	p.stats.say(g.Counters)
	if err != nil {
		return err
	}
	if err := exitError(exit, p.crashToo); err != nil {
		return err
	}
	return p.host.verdict()
}

// newGuest opens the disks and puts the machine together.
func (p *runPlan) newGuest(console io.Writer, net *network, rec *recording, log *slog.Logger) (*guest.Guest, error) {
	cfg := guest.Config{
		Machine: machine.Config{Memory: p.memory, VCPUs: p.cpus, LoadOptions: p.append, Console: console, Mask: p.mask, Log: log},
		NoDisk:  p.noDisk,
	}
	p.host.apply(&cfg)
	cfg.Machine.VMBus.Record = rec.recorder()
	p.balloon.attach(&cfg.Machine)
	if err := p.kernel.load(&cfg.Machine); err != nil {
		return nil, err
	}
	if net != nil {
		cfg.Machine.Devices = append(cfg.Machine.Devices, net.card)
	}
	for _, d := range p.allDisks() {
		b, err := d.open()
		if err != nil {
			for _, b := range cfg.Disks {
				_ = b.Close() // the first error is the one to report
			}
			return nil, err
		}
		cfg.Disks = append(cfg.Disks, b)
	}
	g, err := guest.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w%s", p.boots(), err, p.kernel.advice(err))
	}
	return g, nil
}

// advice says what to do about a machine that does not take its image.
func advice(err error) string {
	switch {
	case errors.Is(err, firmware.ErrMemory):
		return ": give it more with --memory"
	case errors.Is(err, firmware.ErrNoBootImage), errors.Is(err, firmware.ErrNotPE):
		return ": the image is damaged: build it again (hvgo build)"
	}
	return ""
}

func (p *runPlan) logger() *slog.Logger {
	level := slog.LevelWarn
	if p.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// shutdownTimeout bounds the wait for the guest's answer, not for its end.
const shutdownTimeout = 30 * time.Second

// obeySignals asks the guest to shut down at the first signal and switches it
// off at the second. SIGQUIT (Ctrl-\) does neither: it is typed on the guest's console,
// where it makes a program print its goroutines and end.
func obeySignals(ctx context.Context, g *guest.Guest) {
	const fileSeparator = 0x1c // what Ctrl-\ types
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(signals)
	for asked := false; ; {
		var s os.Signal
		select {
		case <-ctx.Done():
			return
		case s = <-signals:
		}
		switch {
		case s == syscall.SIGQUIT:
			if _, err := g.Input().Write([]byte{fileSeparator}); err != nil {
				say("Ctrl-\\: the guest does not read its console")
			}
		case !asked:
			asked = true
			say("asking the guest to shut down; Ctrl-C again switches it off")
			go askShutdown(ctx, g)
		default:
			say("switching the guest off")
			g.Stop()
			return
		}
	}
}

// askShutdown asks by way of the integration service.
func askShutdown(ctx context.Context, g *guest.Guest) {
	ask, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	err := g.AskShutdown(ask)
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

// crashSignature is P0 of a crash report that hvgo's runtime made ("HVGO"); P1
// is then the program's exit status, and P2 where the runtime failed, if it did.
const crashSignature = 0x4F475648

// exitError turns the guest's end into hvgo's exit status, and says what there
// is to say about it. The message of a crash stands on the console already;
// crashToo is for a console that the user does not see.
func exitError(e machine.Exit, crashToo bool) error {
	switch {
	case e.Kind == vmm.Shutdown && e.Status == 0:
		return nil
	case e.Kind == vmm.Stopped:
		say("the guest was switched off")
		return exitStatus(130) // as a shell has it for SIGINT
	case e.Kind == vmm.Crash && e.Params[0] == crashSignature:
		if e.Message != "" && crashToo {
			say("the guest: " + e.Message)
		}
		if e.Params[2] != 0 {
			say(fmt.Sprintf("the runtime beneath the program failed, at %#x: docs/DEBUGGING.md says how to read its report above", e.Params[2]))
		}
		status := exitStatus(1)
		if p1 := e.Params[1]; p1 > 0 && p1 < 256 {
			status = exitStatus(p1)
		}
		say(fmt.Sprintf("the program ended with status %d", int(status)))
		return status
	}
	if e.Detail != "" {
		say(e.Detail)
	}
	return errors.New(e.String())
}

// open opens a checked disk for the guest. The file stays locked.
func (d *diskFile) open() (guest.Block, error) {
	if !d.vhdx {
		return guest.Raw(d.f)
	}
	v, err := vhdx.Open(keepOpen{d.f}, false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path, err)
	}
	return guest.VHDX(v), nil
}

// also joins what failed at the end to how the guest ended. An exit status has no
// words, so the failure is said at once.
func also(err, end error) error {
	if status := exitStatus(0); end != nil && errors.As(err, &status) {
		say(end.Error())
		return err
	}
	return errors.Join(err, end)
}
