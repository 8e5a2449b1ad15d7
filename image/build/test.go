// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hvgo/hvgo/image"
)

// guestPackage is what a test program imports: the runtime, and how it gets its
// flags and files.
const guestPackage = modulePath + "/testguest"

// Tests builds the test programs of packages. Of its Options, Package, Output,
// Format, EFI and ELF are not used.
type Tests struct {
	Options
	Flags []string // more flags of go test, such as -cover

	g     *goTool
	below map[string]bool // packages that guestPackage imports, and those that they do
}

// TestPackage is a package whose tests may be built.
type TestPackage struct {
	ImportPath, Dir string
	Standard        bool // part of the standard library
	HasTests        bool
	TestFiles       []string // in Dir
	Tags            string   // build tags, more than those of the Options
	Program         string   // file for what Go's linker made, besides the kernel; "" is none

	name   string
	module *goModule
}

// List finds the packages that the patterns name, as the go command understands
// them, and refuses what cannot be tested in a guest.
func (t *Tests) List(ctx context.Context, patterns []string) ([]TestPackage, error) {
	if t.Log == nil {
		t.Log = io.Discard
	}
	g, err := findGo(ctx, t.Dir)
	if err != nil {
		return nil, err
	}
	t.g = g
	args := t.tags([]string{"list", "-json=ImportPath,Dir,Name,Standard,Module,TestGoFiles,XTestGoFiles"})
	out, words, err := g.run(ctx, g.dir, []string{"CGO_ENABLED=0"}, append(append(args, "--"), patterns...)...)
	if err != nil {
		return nil, orCancelled(ctx, &Error{"the packages cannot be loaded", words})
	}
	if len(out) == 0 {
		return nil, failf("%s matches no packages", strings.Join(patterns, " "))
	}
	var all []TestPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			goPackage
			TestGoFiles, XTestGoFiles []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		switch {
		case p.Standard && (p.ImportPath == "cmd" || strings.HasPrefix(p.ImportPath, "cmd/")):
			return nil, failf("%s is part of the Go toolchain, whose tests run the toolchain: a guest has none; give packages of a module or of the standard library", p.ImportPath)
		case p.Standard: // linked like any other: hvgo's packages stand on a second build of what is tested
		case p.Module == nil:
			return nil, failf("%s is in no module; make one with: go mod init", p.ImportPath)
		case !p.Module.Main:
			return nil, failf("%s is in a module of others (%s); test it in a checkout of that module", p.ImportPath, p.Module.Path)
		}
		files := append(p.TestGoFiles, p.XTestGoFiles...)
		all = append(all, TestPackage{ImportPath: p.ImportPath, Dir: p.Dir, Standard: p.Standard, HasTests: len(files) > 0, TestFiles: files, name: p.Name, module: p.Module})
	}
}

// Build writes the package's test program, with hvgo's runtime in it, as a kernel
// to be booted without firmware. The Error of tests that do not compile has the
// go command's words.
func (t *Tests) Build(ctx context.Context, p TestPackage, output string) error {
	tmp, err := os.MkdirTemp("", "hvgo-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	workspace, err := t.g.workspace(ctx, t.Options, &goPackage{Dir: p.Dir, ImportPath: p.ImportPath, Module: p.module}, tmp)
	if err != nil {
		return err
	}
	clause, err := t.clause(ctx, p, workspace)
	if err != nil {
		return err
	}
	overlay, err := overlayFile(p.Dir, tmp, "zz_hvgo%s_test.go", clause, guestPackage)
	if err != nil {
		return err
	}
	file := filepath.Join(tmp, "program")
	args := []string{"test", "-c", "-vet=off", "-overlay=" + overlay, "-buildmode=pie", "-o", file, "-ldflags=" + t.ldflags()}
	if t.GCFlags != "" {
		args = append(args, "-gcflags="+t.GCFlags)
	}
	o := t.Options
	o.Tags = strings.Trim(o.Tags+","+p.Tags, ",")
	args = append(o.tags(append(args, t.Flags...)), p.ImportPath)
	err = step(t.Log, "compile the tests of "+p.ImportPath, func() error {
		_, words, err := t.g.run(ctx, t.g.dir, []string{"GOWORK=" + workspace, "GOFLAGS=" + t.g.flags(), "CGO_ENABLED=0"}, args...)
		if err == nil || ctx.Err() != nil {
			return err
		}
		return &Error{"the tests of " + p.ImportPath + " do not build", words}
	})
	if err != nil {
		return err
	}
	if err := Check(file); err != nil {
		return err
	}
	elf, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	kernel, err := image.ELF(elf)
	if err != nil {
		return fmt.Errorf("%s: %w", p.ImportPath, err)
	}
	if p.Program != "" {
		if err := image.WriteFile(ctx, p.Program, elf); err != nil {
			return err
		}
	}
	return image.WriteFile(ctx, output, kernel)
}

// clause is the package of the file that imports guestPackage. In the package itself, it
// makes the guest ready before the package's own variables are initialised, which may come
// from files of testdata. That is not possible where guestPackage stands on the package.
func (t *Tests) clause(ctx context.Context, p TestPackage, workspace string) (string, error) {
	if t.below == nil {
		out, words, err := t.g.run(ctx, t.g.dir, []string{"GOWORK=" + workspace, "GOFLAGS=" + t.g.flags(), "CGO_ENABLED=0"}, "list", "-deps", guestPackage)
		if err != nil {
			return "", orCancelled(ctx, &Error{"hvgo's own packages cannot be loaded", words})
		}
		t.below = map[string]bool{}
		for path := range strings.FieldsSeq(string(out)) {
			t.below[path] = true
		}
	}
	if t.below[p.ImportPath] {
		return p.name + "_test", nil
	}
	return p.name, nil
}

// GOROOT is the folder of the Go toolchain that builds the tests.
func (t *Tests) GOROOT() string { return t.g.env.GOROOT }

// Tool runs a tool of the Go toolchain, such as test2json, from in to out.
func (t *Tests) Tool(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	cmd := t.g.command(ctx, t.g.dir, nil, append([]string{"tool"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	return cmd.Run()
}
