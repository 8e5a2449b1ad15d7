// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package build makes a boot disk out of a Go main package with the stock Go
// toolchain and hvgo's runtime:
//
//	source.go     finds hvgo's own source
//	load.go       asks the go command about the package: is it main, does it need cgo
//	workspace.go  writes a temporary go.work with the user's modules and hvgo's, and
//	              an overlay that adds the import of hvgo's runtime
//	build.go      links it as a static PIE, checks it, and hands it to package image
//
// No file of the user's is changed, and their go.mod need not know of hvgo.
package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/hvgo/hvgo/image"
)

// modulePath is hvgo's module, whose root package is the runtime to import.
const modulePath = "github.com/hvgo/hvgo"

// entrySymbol is where the firmware enters the image.
const entrySymbol = modulePath + "/boot.entry"

// Check looks at the linked program, an ELF file of that name, before it becomes
// an image; an error fails the build. The image checker is put here.
var Check = func(elfFile string) error { return nil }

// Options say what to build.
type Options struct {
	Package string // a folder or import path, as the go command takes it
	Dir     string // where to run; "" is the current folder
	Output  string // file or existing folder; "" is the package's name in the current folder
	Format  image.Format
	EFI     bool   // write the EFI application alone, without a disk
	ELF     bool   // write a kernel for hosts that boot one without firmware
	Tags    string // -tags of the go command
	LDFlags string // -ldflags of the go command, before hvgo's own
	GCFlags string // -gcflags of the go command
	Source  string // folder of hvgo's module; "" finds it
	Log     io.Writer
}

// Result says what was built.
type Result struct {
	Output      string
	OutputSize  int64 // bytes
	ProgramSize int64 // bytes of the EFI application or kernel
	Elapsed     time.Duration
}

// Error is a failure that a user can mend. Its first line says what is wrong;
// the words of the go command may follow.
type Error struct {
	Summary string
	Words   string
}

func (e *Error) Error() string {
	switch {
	case e.Words == "":
		return e.Summary
	case strings.Contains(e.Words, "\n"):
		return e.Summary + ":\n" + e.Words
	}
	return e.Summary + ": " + e.Words
}

func failf(format string, a ...any) error { return &Error{Summary: fmt.Sprintf(format, a...)} }

// Build makes the disk. When it fails, or ctx ends, nothing is left behind.
func Build(ctx context.Context, o Options) (Result, error) {
	start := time.Now()
	if o.Log == nil {
		o.Log = io.Discard
	}
	tmp, err := os.MkdirTemp("", "hvgo-build-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(tmp)
	elf, output, err := o.link(ctx, tmp)
	if err != nil {
		return Result{}, err
	}
	r := Result{Output: output}
	err = step(o.Log, "make the image", func() error {
		if o.ELF {
			kernel, err := image.ELF(elf)
			if err != nil {
				return fmt.Errorf("%s: %w", o.Package, err)
			}
			r.ProgramSize = int64(len(kernel))
			return image.WriteFile(ctx, output, kernel)
		}
		efi, err := image.PE(elf)
		if err != nil {
			return fmt.Errorf("%s: %w", o.Package, err)
		}
		r.ProgramSize = int64(len(efi))
		if o.EFI {
			return image.WriteFile(ctx, output, efi)
		}
		return image.WriteDisk(ctx, output, efi, o.Format)
	})
	if err != nil {
		return Result{}, err
	}
	st, err := os.Stat(output)
	if err != nil {
		return Result{}, err
	}
	r.OutputSize, r.Elapsed = st.Size(), time.Since(start)
	return r, nil
}

// link compiles and links the package in the temporary folder, and says where
// the output goes.
func (o Options) link(ctx context.Context, tmp string) (elf []byte, output string, err error) {
	dir, name := o.where()
	g, err := findGo(ctx, dir)
	if err != nil {
		return nil, "", err
	}
	var pkg *goPackage
	var workspace, overlay string
	err = step(o.Log, "load "+o.Package, func() error {
		if pkg, err = g.load(ctx, o, name); err != nil {
			return err
		}
		if output, err = o.output(pkg.ImportPath); err != nil {
			return err
		}
		if workspace, err = g.workspace(ctx, o, pkg, tmp); err != nil {
			return err
		}
		g.sayRaised(ctx, o, pkg, workspace)
		overlay, err = writeOverlay(pkg.Dir, tmp)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	file := filepath.Join(tmp, "program")
	args := []string{"build", "-overlay=" + overlay, "-buildmode=pie", "-trimpath", "-o", file,
		"-ldflags=" + o.ldflags()}
	if o.GCFlags != "" {
		args = append(args, "-gcflags="+o.GCFlags)
	}
	err = step(o.Log, "compile "+o.Package, func() error {
		_, words, err := g.run(ctx, pkg.Dir, []string{"GOWORK=" + workspace, "GOFLAGS=" + g.flags(), "CGO_ENABLED=0"}, append(o.tags(args), ".")...)
		if err == nil || ctx.Err() != nil {
			return err
		}
		what := "does not compile"
		if strings.Contains(words, "/link: ") || strings.Contains(words, "missing entry symbol") || strings.Contains(words, "relocation target") {
			what = "does not link with hvgo's runtime"
		}
		return &Error{o.Package + " " + what, words}
	})
	if err == nil {
		err = step(o.Log, "check "+o.Package, func() error { return Check(file) })
	}
	if err != nil {
		return nil, "", err
	}
	elf, err = os.ReadFile(file)
	return elf, output, err
}

// ldflags are the user's and ours.
func (o Options) ldflags() string {
	return strings.TrimSpace(o.LDFlags + " -s=false -w -E " + entrySymbol + " -checklinkname=0")
}

// where gives the folder to run the go command in, and the package's name there.
// A folder is gone to, so that its own module counts, wherever it is.
func (o Options) where() (dir, name string) {
	slashed := filepath.ToSlash(o.Package) + "/"
	folder := filepath.IsAbs(o.Package) || strings.HasPrefix(slashed, "./") || strings.HasPrefix(slashed, "../")
	abs := o.Package
	if !filepath.IsAbs(abs) {
		abs = filepath.Join(o.Dir, abs)
	}
	abs, err := filepath.Abs(abs)
	if st, statErr := os.Stat(abs); !folder || err != nil || statErr != nil || !st.IsDir() {
		return o.Dir, o.Package
	}
	return abs, "."
}

// tags adds the user's build tags to a go command.
func (o Options) tags(args []string) []string {
	if o.Tags != "" {
		args = append(args, "-tags="+o.Tags)
	}
	return args
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// output is the file to write, checked before anything is built.
func (o Options) output(importPath string) (string, error) {
	ext := map[image.Format]string{image.DynamicVHDX: ".vhdx", image.FixedVHDX: ".vhdx", image.Raw: ".img"}[o.Format]
	switch {
	case o.EFI:
		ext = ".efi"
	case o.ELF:
		ext = ".elf"
	}
	name := path.Base(importPath)
	if majorVersion.MatchString(name) && path.Dir(importPath) != "." {
		name = path.Base(path.Dir(importPath))
	}
	out := o.Output
	if out == "" {
		out = name + ext
	} else if st, err := os.Stat(out); err == nil && st.IsDir() {
		out = filepath.Join(out, name+ext)
	}
	st, err := os.Stat(filepath.Dir(out))
	if err != nil || !st.IsDir() {
		return "", failf("cannot write %s: there is no folder %s", out, filepath.Dir(out))
	}
	if st, err := os.Stat(out); err == nil && !st.Mode().IsRegular() {
		return "", failf("cannot write %s: it exists and is not a regular file", out)
	} else if err == nil && st.Size() > 0 && !isImage(out) && !(o.ELF && isELF(out)) {
		return "", failf("cannot write %s: it exists and is no image: remove it, or give another name with -o", out)
	}
	return out, nil
}

// isImage reports whether a file looks like one that Build makes, and so may be
// replaced: a VHDX, an EFI application, or a disk with a GPT.
func isImage(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, 1024)
	n, _ := io.ReadFull(f, b) // what is missing stays zero
	if n < 2 {
		return false
	}
	const firstType, protective = 446 + 4, 0xEE // UEFI 5.2.3
	return bytes.HasPrefix(b, []byte("vhdxfile")) || bytes.HasPrefix(b, []byte("MZ")) || bytes.HasPrefix(b[512:], []byte("EFI PART")) ||
		b[510] == 0x55 && b[511] == 0xAA && b[firstType] == protective
}

// isELF reports whether a file is an ELF file, which a kernel may replace, as go
// build's programs do.
func isELF(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	var b [4]byte
	_, err = io.ReadFull(f, b[:])
	return err == nil && string(b[:]) == "\x7fELF"
}

// step runs one step and says so if it lasts over a second.
func step(log io.Writer, what string, f func() error) error {
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- f() }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	said := 0
	for {
		select {
		case err := <-done:
			if said > 0 && err == nil {
				fmt.Fprintf(log, "hvgo: %s: done after %.1f s\n", what, time.Since(start).Seconds())
			}
			return err
		case <-tick.C:
			if said++; said == 1 || said%10 == 0 {
				fmt.Fprintf(log, "hvgo: %s ... %d s\n", what, said)
			}
		}
	}
}

// IsUserError reports whether err is one that its own words explain.
func IsUserError(err error) bool {
	var e *Error
	return errors.As(err, &e)
}
