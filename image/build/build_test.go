// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/image"
)

// stub is a module of hvgo's name whose boot package does nothing, so that these
// tests try the building and not the runtime.
var stub = map[string]string{
	"go.mod":       "module github.com/hvgo/hvgo\n\ngo 1.26\n",
	"hvgo.go":      "package hvgo\n\nimport _ \"github.com/hvgo/hvgo/boot\"\n",
	"boot/boot.go": "package boot\n\nvar imageInfo = [16]uint64{0x4F464E494F475648}\n\nfunc entry()\n\nfunc init() {\n\tif imageInfo[3] != 0 {\n\t\tentry()\n\t}\n}\n",
	"boot/e_amd64.s": "TEXT ·entry(SB), 4, $0-0\n\tJMP _rt0_amd64_linux(SB)\n\tJMP ·entryLinux(SB)\n\tJMP ·entryPVH(SB)\n" +
		"TEXT ·entryLinux(SB), 4, $0-0\n\tRET\nTEXT ·entryPVH(SB), 4, $0-0\n\tRET\n",
}

const helloMain = "package main\n\nfunc main() { println(\"hello\") }\n"

// tree writes files into a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// contents reads a whole tree, to see that a build leaves it alone.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		m[p] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// try builds the EFI application of a package and holds it against wish: "" for
// success, otherwise a part of the error's first line. The user's folder must
// stay as it was.
func try(t *testing.T, dir, pkg, wish string, change ...func(*Options)) (out, log string) {
	t.Helper()
	t.Setenv("GOFLAGS", os.Getenv("GOFLAGS"))
	t.Setenv("GOPROXY", "off")
	before := contents(t, dir)
	target := t.TempDir()
	var b bytes.Buffer
	o := Options{Package: pkg, Dir: dir, Output: target, EFI: true, Source: tree(t, stub), Log: &b}
	for _, c := range change {
		c(&o)
	}
	r, err := Build(context.Background(), o)
	if wish == "" && err != nil || wish != "" && err == nil {
		t.Fatalf("%s: got %v, want %q", pkg, err, wish)
	}
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		if !strings.Contains(first, wish) || !IsUserError(err) {
			t.Errorf("%s: got %v, want %q in the first line", pkg, err, wish)
		}
		if left, _ := os.ReadDir(target); len(left) > 0 {
			t.Errorf("%s: left behind: %v", pkg, left)
		}
		return err.Error(), b.String()
	}
	after := contents(t, dir)
	if len(after) != len(before) {
		t.Errorf("%s: the folder has %d files, had %d", pkg, len(after), len(before))
	}
	for name, text := range before {
		if after[name] != text {
			t.Errorf("%s: %s was changed", pkg, name)
		}
	}
	return r.Output, b.String()
}

func TestPlainModule(t *testing.T) {
	dir := tree(t, map[string]string{
		"go.mod": "module example.com/svc/v2\n\ngo 1.21\n", "main.go": helloMain,
		"zz_hvgo.go":  "package main\n", // in the way of the overlay
		"cmd/b/b.go":  "package main\n\nimport \"example.com/svc/v2/lib\"\n\nfunc main() { lib.Hello() }\n",
		"lib/lib.go":  "package lib\n\nfunc Hello() { println(`hello`) }\n",
		"x_test.go":   "package main\n",
		"a_darwin.go": "package main\n\nthis does not compile\n",
	})
	out, _ := try(t, dir, ".", "")
	if filepath.Base(out) != "svc.efi" {
		t.Errorf("output %s, want svc.efi", out)
	}
	out, _ = try(t, dir, "./cmd/b", "", func(o *Options) { o.LDFlags = "-s -w -X main.x=1"; o.EFI, o.Format = false, image.DynamicVHDX })
	if filepath.Base(out) != "b.vhdx" {
		t.Errorf("output %s, want b.vhdx", out)
	}
	for range 2 { // the second takes the first one's place
		out, _ = try(t, dir, "./cmd/b", "", func(o *Options) { o.EFI, o.ELF, o.Output = false, true, filepath.Join(filepath.Dir(out), "b.elf") })
	}
	if k, err := os.ReadFile(out); err != nil || !bytes.HasPrefix(k, []byte("\x7fELF")) {
		t.Errorf("kernel %s: % x, %v", out, k[:min(4, len(k))], err)
	}
	out, _ = try(t, dir, "./cmd/b", "", func(o *Options) { o.EFI, o.ELF = false, true })
	if filepath.Base(out) != "b.elf" {
		t.Errorf("output %s, want b.elf", out)
	}
	try(t, dir, "example.com/svc/v2/cmd/b", "")
	try(t, dir, filepath.Join(dir, "cmd", "b"), "", func(o *Options) { o.Dir = t.TempDir() })
}

func TestReproducible(t *testing.T) {
	files := map[string]string{"go.mod": "module example.com/svc\n\ngo 1.26\n", "main.go": helloMain}
	one, _ := try(t, tree(t, files), ".", "", func(o *Options) { o.EFI = false })
	two, _ := try(t, tree(t, files), ".", "", func(o *Options) { o.EFI = false })
	a, _ := os.ReadFile(one)
	b, _ := os.ReadFile(two)
	if len(a) == 0 || !bytes.Equal(a, b) {
		t.Error("two builds in two folders differ")
	}
}

func TestReplaceAndVendor(t *testing.T) {
	dir := tree(t, map[string]string{
		"app/go.mod":  "module example.com/app\n\ngo 1.22\n\nrequire example.com/lib v1.0.0\n\nreplace example.com/lib => ../lib\n",
		"app/main.go": "package main\n\nimport \"example.com/lib\"\n\nfunc main() { lib.Hello() }\n",
		"lib/go.mod":  "module example.com/lib\n\ngo 1.20\n", "lib/lib.go": "package lib\n\nfunc Hello() { println(`hello`) }\n",
	})
	try(t, filepath.Join(dir, "app"), ".", "")
	cmd := exec.Command("go", "mod", "vendor")
	cmd.Dir = filepath.Join(dir, "app")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go mod vendor: %v\n%s", err, out)
	}
	if _, log := try(t, filepath.Join(dir, "app"), ".", ""); !strings.Contains(log, "vendor is not used") {
		t.Errorf("nothing is said about vendor: %q", log)
	}
	t.Setenv("GOFLAGS", "-mod=vendor")
	try(t, filepath.Join(dir, "app"), ".", "")
}

func TestUsersWorkspace(t *testing.T) {
	dir := tree(t, map[string]string{
		"go.work":     "go 1.22\n\ngodebug http2server=0\n\nuse (\n\t./app\n\t./lib\n)\n\nreplace example.com/far => ./near\n",
		"app/go.mod":  "module example.com/app\n\ngo 1.22\n",
		"app/main.go": "package main\n\nimport (\n\t\"example.com/far\"\n\t\"example.com/lib\"\n)\n\nfunc main() { lib.Hello(far.Name) }\n",
		"lib/go.mod":  "module example.com/lib\n\ngo 1.21\n\nrequire example.com/far v1.0.0\n", "lib/lib.go": "package lib\n\nfunc Hello(s string) { println(s) }\n",
		"near/go.mod": "module example.com/far\n\ngo 1.21\n", "near/far.go": "package far\n\nconst Name = `far`\n",
	})
	try(t, filepath.Join(dir, "app"), ".", "")
	try(t, dir, "./app", "")
	// A workspace that has hvgo in it: that one is taken.
	work := "go 1.26\n\nuse (\n\t./app\n\t./hvgo\n)\n"
	files := map[string]string{"go.work": work, "app/go.mod": "module example.com/app\n\ngo 1.22\n", "app/main.go": helloMain}
	for name, text := range stub {
		files["hvgo/"+name] = text
	}
	try(t, filepath.Join(tree(t, files), "app"), ".", "", func(o *Options) { o.Source = "/nonexistent" })
}

// A module that hvgo requires in a later version is named: the user's tests ran
// with another.
func TestRaisedVersion(t *testing.T) {
	const lib, libMod = "package lib\n\nfunc Hello() { println(`hello`) }\n", "module example.com/lib\n\ngo 1.21\n"
	mod := "\nrequire example.com/lib v1.0.0\n\nreplace (\n\texample.com/lib v1.0.0 => ../v1.0.0\n\texample.com/lib v1.1.0 => ../v1.1.0\n)\n"
	files := map[string]string{
		"app/go.mod":    "module example.com/app\n\ngo 1.22\n" + mod,
		"app/main.go":   "package main\n\nimport \"example.com/lib\"\n\nfunc main() { lib.Hello() }\n",
		"v1.0.0/go.mod": libMod, "v1.0.0/lib.go": lib, "v1.1.0/go.mod": libMod, "v1.1.0/lib.go": lib,
	}
	for name, text := range stub {
		files["hvgo/"+name] = text
	}
	files["hvgo/go.mod"] += strings.Replace(mod, "v1.0.0", "v1.1.0", 1)
	dir := tree(t, files)
	source := func(o *Options) { o.Source = filepath.Join(dir, "hvgo") }
	_, log := try(t, filepath.Join(dir, "app"), ".", "", source)
	if want := "example.com/lib is v1.1.0 in this build instead of v1.0.0"; !strings.Contains(log, want) {
		t.Errorf("%q is not in %q", want, log)
	}
}

// A program of hvgo's own module.
func TestOwnModule(t *testing.T) {
	files := map[string]string{"examples/x/main.go": helloMain}
	for name, text := range stub {
		files[name] = text
	}
	try(t, tree(t, files), "./examples/x", "", func(o *Options) { o.Source = "/nonexistent" })
}

func TestBadInput(t *testing.T) {
	dir := tree(t, map[string]string{
		"go.mod":             "module example.com/bad\n\ngo 1.26\n",
		"lib/lib.go":         "package lib\n",
		"broken/main.go":     "package main\n\nfunc main() { undefined() }\n",
		"syntax/main.go":     "package main\n\nfunc main( {\n",
		"missing/main.go":    "package main\n\nimport _ \"example.com/none\"\n\nfunc main() {}\n",
		"cgo/main.go":        "package main\n\n// int f(void) { return 1; }\nimport \"C\"\n\nfunc main() { C.f() }\n",
		"dep/main.go":        "package main\n\nimport _ \"example.com/bad/via\"\n\nfunc main() {}\n",
		"via/via.go":         "package via\n\nimport _ \"example.com/bad/needs\"\n",
		"needs/needs.go":     "package needs\n\nimport \"C\"\n",
		"option/main.go":     helloMain,
		"option/cgo.go":      "//go:build cgo\n\npackage main\n\nimport \"C\"\n",
		"two/main.go":        "package main\n\nfunc main() {}\n\nfunc main() {}\n",
		"two/sub/main.go":    helloMain,
		"tagged/main.go":     "//go:build special\n\n" + helloMain,
		"onlytest/x_test.go": "package main\n",
	})
	for _, c := range []struct{ pkg, wish, words string }{
		{"./lib", "is not a program: it is package lib", ""},
		{"./broken", "./broken does not compile", "undefined: undefined"},
		{"./syntax", "./syntax", "syntax error"},
		{"./missing", "./missing cannot be loaded", "example.com/none"},
		{"./none", "./none cannot be loaded", "directory not found"},
		{"./cgo", "needs cgo: main.go imports \"C\"", ""},
		{"./dep", "example.com/bad/needs needs cgo: needs.go imports \"C\" (imported by example.com/bad/via, imported by example.com/bad/dep)", ""},
		{"./option", "", ""},
		{"./two", "./two does not compile", "main redeclared"},
		{"./...", "./...", ""},
		{"./two/...", "names 2 packages", ""},
		{"./tagged", "./tagged cannot be loaded", "build constraints exclude all Go files"},
		{"./onlytest", "./onlytest", ""},
		{"fmt", "standard library", ""},
		{"main.go", "give the folder", ""},
		{"example.com/x@latest", "give the folder", ""},
		{"-x", "give the folder", ""},
		{"", "give the folder", ""},
	} {
		if text, _ := try(t, dir, c.pkg, c.wish); !strings.Contains(text, c.words) {
			t.Errorf("%s: %q is not in\n%s", c.pkg, c.words, text)
		}
	}
	try(t, dir, "./tagged", "", func(o *Options) { o.Tags = "special" })
	try(t, dir, "./option", "there is no folder", func(o *Options) { o.Output = "/nonexistent/x.vhdx" })
	try(t, dir, "./option", "not a regular file", func(o *Options) { o.Output = os.DevNull })
	try(t, dir, "./option", "does not hold hvgo's source", func(o *Options) { o.Source = t.TempDir() })
	outside := tree(t, map[string]string{"main.go": helloMain})
	try(t, outside, ".", "", func(o *Options) { o.Package = "."; o.Dir = dir + "/option" })
	try(t, outside, ".", "cannot be loaded")
}

func TestBadToolchain(t *testing.T) {
	dir := tree(t, map[string]string{"go.mod": "module example.com/svc\n\ngo 1.26\n", "main.go": helloMain})
	newer := tree(t, map[string]string{"go.mod": "module example.com/svc\n\ngo 1.99\n", "main.go": helloMain})
	try(t, newer, ".", "cannot be")
	bin := tree(t, map[string]string{"go": "#!/bin/sh\necho '{\"GOVERSION\": \"go1.25.3\"}'\n"})
	if err := os.Chmod(filepath.Join(bin, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOROOT", "")
	t.Setenv("PATH", bin)
	try(t, dir, ".", "Go 1.26 or later is needed")
	t.Setenv("PATH", t.TempDir())
	try(t, dir, ".", "no Go toolchain found")
}

func TestVersion(t *testing.T) {
	for s, want := range map[string]string{
		"go1.26.8": "go1.26.8", "devel go1.27-0123abcd Mon Nov": "go1.27", "go1.26.8 X:nocoverageredesign": "go1.26.8", "devel +0123": "", "": "",
		"go1.27rc1": "go1.27rc1", "go1.26.8-custom": "go1.26.8",
	} {
		g := &goTool{}
		g.env.GOVERSION = s
		if got := g.version(); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestCheckFails(t *testing.T) {
	defer func(f func(string) error) { Check = f }(Check)
	Check = func(name string) error {
		if b, err := os.ReadFile(name); err != nil || !bytes.HasPrefix(b, []byte("\x7fELF")) {
			t.Errorf("%s is no ELF file, %v", name, err)
		}
		return &Error{Summary: "the image is unsound"}
	}
	dir := tree(t, map[string]string{"go.mod": "module example.com/svc\n\ngo 1.26\n", "main.go": helloMain})
	try(t, dir, ".", "the image is unsound")
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := tree(t, map[string]string{"go.mod": "module example.com/svc\n\ngo 1.26\n", "main.go": helloMain})
	target := t.TempDir()
	if _, err := Build(ctx, Options{Package: ".", Dir: dir, Output: target, Source: tree(t, stub)}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(target); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A step that lasts is named while it runs.
func TestStep(t *testing.T) {
	var b bytes.Buffer
	if err := step(&b, "quick", func() error { return nil }); err != nil || b.Len() > 0 {
		t.Errorf("%v, %q", err, b.String())
	}
	step(&b, "slow", func() error { time.Sleep(1200 * time.Millisecond); return nil })
	if s := b.String(); !strings.Contains(s, "slow ... 1 s") || !strings.Contains(s, "slow: done") {
		t.Errorf("%q", s)
	}
}

// A file that no build made is not written over; an image is.
func TestOutputKeepsOthersFiles(t *testing.T) {
	dir := t.TempDir()
	mbr := make([]byte, 512)
	mbr[450], mbr[510], mbr[511] = 0xEE, 0x55, 0xAA
	for _, tt := range []struct {
		contents string
		ok       bool
	}{
		{"", true}, {"vhdxfile\x00", true}, {"MZ\x90", true}, {string(mbr), true}, {string(make([]byte, 512)) + "EFI PART", true},
		{helloMain, false}, {"M", false}, {"\x7fELF", false}, {string(make([]byte, 512)), false},
	} {
		name := filepath.Join(dir, "x.go")
		if err := os.WriteFile(name, []byte(tt.contents), 0o666); err != nil {
			t.Fatal(err)
		}
		out, err := Options{Output: name}.output("example.com/x")
		if tt.ok && (err != nil || out != name) || !tt.ok && (!IsUserError(err) || !strings.Contains(err.Error(), "is no image")) {
			t.Errorf("%.10q: %q, %v", tt.contents, out, err)
		}
	}
	for _, format := range []image.Format{image.DynamicVHDX, image.FixedVHDX, image.Raw} {
		name := filepath.Join(dir, "disk")
		if err := image.WriteDisk(t.Context(), name, []byte("MZ"), format); err != nil {
			t.Fatal(err)
		}
		if !isImage(name) {
			t.Errorf("our own format %v is not known", format)
		}
	}
}
