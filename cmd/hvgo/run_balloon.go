// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/hvgo/hvgo/host/balloon"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
)

// balloonOptions are the flags of run that concern Dynamic Memory.
type balloonOptions struct {
	size string
}

func (o *balloonOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.size, "balloon", "", "offer Dynamic Memory, and take `size` from the guest as soon as it can give it: MiB, or with K, M, G; 0 only offers")
}

// plan checks the flags for a guest with so many bytes of memory; nil is a guest
// without Dynamic Memory.
func (o *balloonOptions) plan(memory uint64) (*balloonPlan, error) {
	if o.size == "" {
		return nil, nil
	}
	size, err := parseSize(o.size)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--balloon: %w", err)
	case size >= memory:
		return nil, fmt.Errorf("--balloon: a guest with %s cannot give %s: take less", mibText(memory), mibText(size))
	case size%mib != 0:
		return nil, fmt.Errorf("--balloon: %d bytes are not whole MiB", size)
	}
	return &balloonPlan{size, balloon.New(balloon.Options{MaxPages: memory / vmm.PageSize})}, nil
}

// balloonPlan is what the flags mean. A nil plan is none.
type balloonPlan struct {
	size   uint64 // bytes to take
	device *balloon.Balloon
}

// args are the flags for a hvgo in the emulated machine.
func (p *balloonPlan) args() []string {
	if p == nil {
		return nil
	}
	return []string{"--balloon", fmt.Sprint(p.size / mib)}
}

// attach offers the device to the guest.
func (p *balloonPlan) attach(cfg *machine.Config) {
	if p != nil {
		cfg.Devices = append(cfg.Devices, p.device)
	}
}

// take takes the memory, once, and says what came of it.
func (p *balloonPlan) take(ctx context.Context) {
	if p == nil || p.size == 0 || p.device.WaitReady(ctx) != nil { // the guest ended before
		return
	}
	for left := p.size; left > 0; {
		pages, err := p.device.Inflate(ctx, uint32(min(left/vmm.PageSize, 1<<20))) // 4 GiB at a time
		if err != nil {
			if ctx.Err() == nil {
				say(fmt.Sprintf("Dynamic Memory: %v", err))
			}
			return
		}
		left -= pages * vmm.PageSize
		if pages == 0 {
			break
		}
	}
	held := p.device.Guest().Held * vmm.PageSize
	text := fmt.Sprintf("Dynamic Memory: the guest gave %s", mibText(held))
	if held < p.size {
		text += fmt.Sprintf(" of %s: it needs the rest itself", mibText(p.size))
	}
	say(text)
}
