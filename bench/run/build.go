// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/hvgo/hvgo/host/debian"
)

// Names in the folder.
const (
	programFile = "serve"
	imageFile   = "serve.vhdx"
	kernelFile  = "vmlinuz"
	initrdFile  = "initrd.img"
	builtFile   = "built.json"

	series = "6.12" // of Debian's kernel
	source = "github.com/hvgo/hvgo/bench/serve"
)

// drivers are what the Linux guest needs of its kernel's modules, and what those need.
var drivers = []string{"hv_vmbus", "hv_storvsc", "sd_mod", "hv_netvsc", "hv_utils"}

// built is what is known of the images before anything runs.
type built struct {
	Kernel string           `json:"kernel"` // Debian's package
	Sizes  map[string]int64 `json:"sizes"`  // bytes, by side
	// Extra is what building takes beyond go build, both with warm caches, by side.
	Extra map[string]time.Duration `json:"extra"`
	// Failed is why a side could not be made.
	Failed map[string]string `json:"failed,omitempty"`
}

// turns are the figures of building.
func (b *built) turns() (list []turn) {
	const probe = "build"
	for _, side := range sides {
		if b.Failed[side] != "" {
			continue
		}
		t := turn{Side: side}
		t.add(probe, figure{"image", float64(b.Sizes[side]) / (1 << 20), mebibytes},
			figure{"build, beyond go build", b.Extra[side].Seconds(), seconds})
		list = append(list, t)
	}
	return list
}

// build makes the program for both sides. Linux's is the same one that hvgo build
// would link: without its symbols for debuggers. A side that cannot be made fails in
// each round, and the other goes on.
func (o *options) build(ctx context.Context) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	b := built{Sizes: map[string]int64{}, Extra: map[string]time.Duration{}, Failed: map[string]string{}}
	note := func(side string, err error) {
		if err != nil {
			say("%s: failed: %v", side, err)
			b.Failed[side] = err.Error()
		}
	}
	goBuild := []string{"go", "build", "-trimpath", "-ldflags=-s -w", "-o", o.file(programFile), source}
	plain, err := o.takeTime(ctx, goBuild)
	if err != nil {
		return err // neither side can be made
	}
	extra, err := o.takeTime(ctx, []string{o.hvgo, "build", "-o", o.file(imageFile), source})
	note(hvgoSide, err)
	b.Extra[hvgoSide] = extra - plain
	begin := time.Now()
	b.Kernel, err = o.buildLinux(ctx)
	note(linuxSide, err)
	b.Extra[linuxSide] = time.Since(begin)
	for side, names := range map[string][]string{hvgoSide: {imageFile}, linuxSide: {kernelFile, initrdFile}} {
		for _, name := range names {
			if fi, err := os.Stat(o.file(name)); b.Failed[side] == "" && err != nil {
				return err
			} else if err == nil {
				b.Sizes[side] += fi.Size()
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return writeJSON(o.file(builtFile), b)
}

// takeTime runs a build twice: the second time counts, with warm caches. Where only
// counts matter, once is enough.
func (o *options) takeTime(ctx context.Context, args []string) (took time.Duration, err error) {
	times := 2
	if o.check {
		times = 1
	}
	for range times {
		begin := time.Now()
		if err := command(ctx, args).Run(); err != nil {
			return 0, fmt.Errorf("%s build %s: %w", filepath.Base(args[0]), source, err)
		}
		took = time.Since(begin)
	}
	return took, nil
}

func (o *options) buildLinux(ctx context.Context) (kernel string, err error) {
	k, err := debian.Get(ctx, series, func(s string) { say("%s", s) })
	if err != nil {
		return "", fmt.Errorf("kernel %s of Debian: %w", series, err)
	}
	return k.Package, o.writeLinux(k)
}

// command is a program whose streams are ours.
func command(ctx context.Context, args []string) *exec.Cmd {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	return c
}

// writeLinux writes the kernel and its initial RAM disk: the program as init, and drivers.
func (o *options) writeLinux(k *debian.Kernel) error {
	image, err := os.ReadFile(k.Image)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.file(kernelFile), image, 0o644); err != nil {
		return err
	}
	program, err := os.ReadFile(o.file(programFile))
	if err != nil {
		return err
	}
	modules, err := k.Modules(drivers...)
	if err != nil {
		return err
	}
	records := []cpio.Record{
		cpio.Directory("dev", 0o755), cpio.CharDev("dev/console", 0o600, 5, 1), // PID 1's standard streams
		cpio.StaticRecord(program, cpio.Info{Name: "init", Mode: cpio.S_IFREG | 0o755}),
		cpio.Directory("modules", 0o755),
	}
	for i, m := range modules {
		name := fmt.Sprintf("modules/%02d-%s.ko", i, m.Name)
		records = append(records, cpio.StaticRecord(m.Data, cpio.Info{Name: name, Mode: cpio.S_IFREG | 0o644}))
	}
	var b bytes.Buffer
	w := cpio.Newc.Writer(&b)
	if err := cpio.WriteRecords(w, records); err != nil {
		return err
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return err
	}
	return os.WriteFile(o.file(initrdFile), b.Bytes(), 0o644)
}

func writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}

func readJSON(name string, v any) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
