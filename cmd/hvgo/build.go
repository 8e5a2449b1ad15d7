// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hvgo/hvgo/image"
	"github.com/hvgo/hvgo/image/build"
	"github.com/hvgo/hvgo/internal/imagecheck"
)

const buildLong = `Build compiles one main package with the installed Go toolchain, links it with
hvgo's runtime, and writes a disk that a Hyper-V virtual machine of generation 2
boots. The package needs no change, and its go.mod need not name hvgo.

With --format elf it writes a kernel instead, for monitors that boot one without
firmware and disk: by PVH (qemu -kernel) or by Linux's 64-bit boot protocol.

The package must be pure Go (no cgo). Secure Boot must be off in the virtual
machine, since the image is not signed.

The same source and toolchain give the same bytes.`

const buildExample = `  hvgo build ./cmd/svc                     write svc.vhdx
  hvgo build -o /vm/svc.vhdx ./cmd/svc
  hvgo build --raw ./cmd/svc               write svc.img, for QEMU or dd
  hvgo build --format elf ./cmd/svc        write svc.elf, for qemu -kernel
  hvgo build -tags prod -ldflags "-X main.version=1.2" ./cmd/svc`

// newBuildCmd is hvgo build.
func newBuildCmd() *cobra.Command {
	o := build.Options{Log: os.Stderr}
	var raw, fixed bool
	var format string
	cmd := &cobra.Command{
		Use:     "build [flags] PACKAGE",
		Short:   "Build a boot disk or a kernel from a Go main package",
		Long:    buildLong,
		Example: buildExample,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("build takes one package, such as ./cmd/svc; %d were given", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Package = args[0]
			build.Check = checkImage
			switch {
			case format == "raw", raw:
				o.Format = image.Raw
			case fixed:
				o.Format = image.FixedVHDX
			case format == "efi":
				o.EFI = true
			case format == "elf":
				o.ELF = true
			case format != "vhdx":
				return fmt.Errorf("--format %q: want vhdx, raw, efi or elf", format)
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			r, err := build.Build(ctx, o)
			if errors.Is(err, context.Canceled) {
				return errors.New("build interrupted; nothing was written")
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %.1f MiB, of which program %.1f MiB; built in %.1f s\n",
				r.Output, float64(r.OutputSize)/(1<<20), float64(r.ProgramSize)/(1<<20), r.Elapsed.Seconds())
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.Output, "output", "o", "", "file or folder to write to (default: the package's name, here)")
	f.StringVar(&format, "format", "vhdx", "`what` to write: vhdx, raw (a disk too), efi (the EFI application alone) or elf (a kernel)")
	f.BoolVar(&raw, "raw", false, "the same as --format raw")
	f.BoolVar(&fixed, "fixed", false, "write a VHDX with all its room allocated")
	f.BoolVar(&o.EFI, "efi", false, "the same as --format efi")
	f.StringVar(&o.Tags, "tags", "", "build tags, as for go build")
	f.StringVar(&o.LDFlags, "ldflags", "", "linker flags, as for go build; hvgo adds its own")
	f.StringVar(&o.GCFlags, "gcflags", "", "compiler flags, as for go build")
	cmd.MarkFlagsMutuallyExclusive("format", "raw", "fixed", "efi")
	return cmd
}

// checkImage holds the linked program against the rules of trap context. What it
// finds is a mistake in hvgo, or code of the program's that reaches into it.
func checkImage(elfFile string) error {
	_, err := imagecheck.Check(elfFile, imagecheck.Trap(), imagecheck.Crash(), imagecheck.Boot())
	if err != nil {
		return &build.Error{Summary: "the linked program breaks the rules of hvgo's runtime", Words: err.Error()}
	}
	return nil
}

// goFlags lets build's flags that go build has too be written with one dash, as
// there.
func goFlags(args []string) []string {
	if len(args) == 0 || args[0] != "build" {
		return args
	}
	args = slices.Clone(args)
	for i, a := range args {
		if a == "--" {
			break
		}
		name, _, _ := strings.Cut(a, "=")
		if slices.Contains([]string{"-tags", "-ldflags", "-gcflags"}, name) {
			args[i] = "-" + a
		}
	}
	return args
}
