// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
)

// system is a place to run the program.
type system struct {
	name string
	run  func(o *options, ctx context.Context, out *reader) error
}

var systems = []system{
	{"hvgo", (*options).runImage},
	{"Linux guest", (*options).runLinux},
	{"Linux process", (*options).runProcess},
}

// line is what the program prints of a result.
type line struct {
	Row   string    `json:"row"`
	Ops   int       `json:"ops,omitempty"`
	NS    []float64 `json:"ns,omitempty"`
	Error string    `json:"error,omitempty"`
	// Counters are what the kernel counted of the guest's processors meanwhile.
	Counters map[string]uint64 `json:"counters,omitempty"`
}

// reader takes what a program prints.
type reader struct {
	lines    []line
	ended    bool
	other    bytes.Buffer // what is no line of ours
	part     []byte
	counters func() (map[string]uint64, error) // nil: there are none
	before   map[string]uint64
}

// Write implements io.Writer.
func (r *reader) Write(p []byte) (int, error) {
	r.part = append(r.part, p...)
	for {
		l, rest, ok := bytes.Cut(r.part, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		r.take(strings.TrimSpace(string(l)))
		r.part = rest
	}
}

func (r *reader) take(text string) {
	kind, rest, _ := strings.Cut(text, " ")
	switch kind {
	case "begin":
		r.before = r.count()
	case "end":
		r.ended = true
	case "row":
		var l line
		if err := json.Unmarshal([]byte(rest), &l); err != nil {
			l = line{Row: rest, Error: err.Error()}
		}
		if r.before != nil && l.Ops > 0 {
			l.Counters = r.count()
			for k, v := range r.before {
				l.Counters[k] -= v
			}
		}
		r.before = nil
		r.lines = append(r.lines, l)
	default:
		fmt.Fprintln(&r.other, text)
	}
}

func (r *reader) count() map[string]uint64 {
	if r.counters == nil {
		return nil
	}
	c, err := r.counters()
	if err != nil {
		fmt.Fprintln(&r.other, err)
	}
	return c
}

// settings are the program's environment.
func (o *options) settings() []string {
	return []string{"BENCH_ROWS=" + o.rows, "BENCH_HEAP=" + strconv.Itoa(o.heap)}
}

// commandLine quotes the settings for a kernel.
func commandLine(settings []string) string {
	var words []string
	for _, s := range settings {
		if name, value, _ := strings.Cut(s, "="); value != "" {
			words = append(words, name+`="`+value+`"`)
		}
	}
	return strings.Join(words, " ")
}

func (o *options) runImage(ctx context.Context, out *reader) error {
	return o.runGuest(ctx, out, machine.Config{LoadOptions: commandLine(o.settings())}, imageFile)
}

// runLinux boots Debian's kernel, without what protects it from its processor: the
// test host's Linux does without too, and so does a guest that trusts its program.
func (o *options) runLinux(ctx context.Context, out *reader) error {
	initrd, err := initrd(o.file(programFile))
	if err != nil {
		return err
	}
	words := "console=ttyS0 loglevel=3 panic=-1 mitigations=off BENCH_INIT=1 " + commandLine(o.settings())
	return o.runGuest(ctx, out, machine.Config{LoadOptions: words, Initrd: initrd}, kernelFile)
}

func (o *options) runGuest(ctx context.Context, out *reader, cfg machine.Config, image string) error {
	var err error
	if cfg.Image, err = os.ReadFile(o.file(image)); err != nil {
		return err
	}
	cfg.Console, cfg.Lenient, cfg.HugePages = out, true, true
	cfg.Memory, cfg.VCPUs = uint64(o.memory)<<20, o.cpus
	g, err := guest.New(guest.Config{Machine: cfg, NoDisk: true})
	if err != nil {
		return err
	}
	out.counters = g.Counters
	exit, err := g.Run(ctx)
	if err == nil && exit.Kind != vmm.Shutdown {
		err = fmt.Errorf("the guest ended with %v", exit)
	}
	return errors.Join(err, g.Close())
}

func (o *options) runProcess(ctx context.Context, out *reader) error {
	c := exec.CommandContext(ctx, o.file(programFile))
	c.Env = append(os.Environ(), o.settings()...)
	c.Stdout, c.Stderr = out, os.Stderr
	return c.Run()
}

// initrd holds the program as init.
func initrd(program string) ([]byte, error) {
	b, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var image bytes.Buffer
	w := cpio.Newc.Writer(&image)
	for _, r := range []cpio.Record{
		cpio.Directory("dev", 0o755), cpio.CharDev("dev/console", 0o600, 5, 1), // PID 1's standard streams
		cpio.StaticRecord(b, cpio.Info{Name: "init", Mode: cpio.S_IFREG | 0o755}),
	} {
		if err := w.WriteRecord(r); err != nil {
			return nil, err
		}
	}
	err = cpio.WriteTrailer(w)
	return image.Bytes(), err
}

var _ io.Writer = (*reader)(nil)
