// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"debug/elf"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testStub is stub with what a test program imports.
func testStub() map[string]string {
	m := maps.Clone(stub)
	m["testguest/testguest.go"] = "package testguest\n\nimport _ \"github.com/hvgo/hvgo\"\n"
	return m
}

func tests(t *testing.T, dir string) *Tests {
	t.Helper()
	t.Setenv("GOPROXY", "off")
	return &Tests{Options: Options{Dir: dir, Source: tree(t, testStub())}}
}

// TestTestProgram builds tests of a user's module: in the package, beside it, and
// of a program.
func TestTestProgram(t *testing.T) {
	const in = "package %\n\nimport \"testing\"\n\nfunc TestIn(t *testing.T) {}\n"
	dir := tree(t, map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.24\n",
		"a/a.go": "package a\n", "a/a_test.go": strings.ReplaceAll(in, "%", "a"), "a/zz_hvgo_test.go": "package a_test\n",
		"b/b_test.go": strings.ReplaceAll(in, "%", "b_test"),
		"c/main.go":   helloMain, "c/c_test.go": strings.ReplaceAll(in, "%", "main"),
		"none/none.go": "package none\n",
		"bad/bad.go":   "package bad\n", "bad/bad_test.go": "package bad\n\nvar x int = \"text\"\n",
	})
	before := contents(t, dir)
	tt := tests(t, dir)
	pkgs, err := tt.List(context.Background(), []string{"./..."})
	if err != nil || len(pkgs) != 5 {
		t.Fatalf("%v, %v", pkgs, err)
	}
	for _, p := range pkgs {
		name := filepath.Base(p.Dir)
		if p.HasTests != (name != "none") || p.ImportPath != "example.com/m/"+name {
			t.Errorf("%+v", p)
		}
		if !p.HasTests {
			continue
		}
		out := filepath.Join(t.TempDir(), "test.elf")
		err := tt.Build(context.Background(), p, out)
		if name == "bad" {
			if err == nil || !IsUserError(err) || !strings.Contains(err.Error(), "bad/bad_test.go:3") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f, err := elf.Open(out)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f.Close()
		if b, err := os.ReadFile(out); err != nil || !bytes.Contains(b, []byte("TestIn")) {
			t.Errorf("%s: no test in it, %v", name, err)
		}
	}
	if !maps.Equal(before, contents(t, dir)) {
		t.Error("the user's folder has changed")
	}
}

// TestStandardLibrary builds tests of a package that hvgo itself is made of, with
// tests in the package and beside it.
func TestStandardLibrary(t *testing.T) {
	tt := tests(t, tree(t, nil)) // in no module
	pkgs, err := tt.List(context.Background(), []string{"sync/atomic", "errors"})
	if err != nil || len(pkgs) != 2 || !pkgs[0].Standard || len(pkgs[0].TestFiles) == 0 {
		t.Fatalf("%+v, %v", pkgs, err)
	}
	if tt.GOROOT() == "" {
		t.Error("no GOROOT")
	}
	for _, p := range pkgs {
		p.Tags = "timetzdata"
		out := filepath.Join(t.TempDir(), "test.elf")
		if err := tt.Build(context.Background(), p, out); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(out); err != nil || !bytes.Contains(b, []byte(p.ImportPath+"_test.Test")) {
			t.Errorf("%s: no test in it, %v", p.ImportPath, err)
		}
	}
}

func TestTestRefusals(t *testing.T) {
	dir := tree(t, map[string]string{"go.mod": "module example.com/m\n\ngo 1.24\n", "a/a.go": "package a\n"})
	for pattern, want := range map[string]string{
		"cmd/gofmt": "Go toolchain", "./nowhere": "cannot be loaded", "example.com/m/nothing/...": "no packages",
	} {
		_, err := tests(t, dir).List(context.Background(), []string{pattern})
		if err == nil || !IsUserError(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", pattern, err, want)
		}
	}
	if _, err := tests(t, tree(t, nil)).List(context.Background(), []string{"."}); err == nil || !IsUserError(err) {
		t.Errorf("no module: %v", err)
	}
}
