// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package stdtest

import (
	"go/build"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// linux is how the go command sees the standard library for a guest.
func linux() *build.Context {
	c := build.Default
	c.GOOS, c.GOARCH, c.CgoEnabled = "linux", "amd64", false
	return &c
}

// TestLists holds the lists against the installed toolchain: every line names
// something, no line is there twice, and no line says what another says too.
func TestLists(t *testing.T) {
	all, err := parseSkips(skipList)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	seen := map[[2]string]bool{}
	for _, s := range all {
		key := [2]string{s.Package, s.Test}
		if seen[key] {
			t.Errorf("skip.txt:%d: %s %s stands there twice", s.Line, s.Package, s.Test)
		}
		seen[key] = true
		if names[s.Package] == nil {
			p, err := linux().Import(s.Package, "", 0)
			if err != nil || !p.Goroot {
				t.Errorf("skip.txt:%d: %s: %v", s.Line, s.Package, err)
				continue
			}
			if names[s.Package], err = Names(p.Dir, append(p.TestGoFiles, p.XTestGoFiles...)); err != nil {
				t.Fatal(err)
			}
		}
		if _, there := s.Matches(names[s.Package]); !there {
			t.Errorf("skip.txt:%d: %s has no test %s", s.Line, s.Package, s.Test)
		}
	}
	lines, err := parseFiles(fileList)
	if err != nil {
		t.Fatal(err)
	}
	given := map[fileLine]bool{}
	for _, l := range lines {
		if given[l] {
			t.Errorf("files.txt: %s %s stands there twice", l.pkg, l.path)
		}
		given[l] = true
		if l.pkg != "*" {
			if p, err := linux().Import(l.pkg, "", build.FindOnly); err != nil || !p.Goroot {
				t.Errorf("files.txt: %s: %v", l.pkg, err)
			}
		}
		if l.path == program {
			if !Program(l.pkg) {
				t.Errorf("%s does not get its program", l.pkg)
			}
			continue
		}
		if _, err := os.Stat(filepath.Join(build.Default.GOROOT, filepath.FromSlash(l.path))); err != nil {
			t.Errorf("files.txt: %v", err)
		}
	}
	for _, bad := range []string{"p", "p /etc/passwd", "p ../x", "p a b"} {
		if _, err := parseFiles(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestPattern(t *testing.T) {
	skips, err := parseSkips("# comment\n\np TestA why so\np  Test*B   two words\np TestC/sub.x reason\n")
	if err != nil || len(skips) != 3 || skips[1].Reason != "two words" || skips[2].Line != 5 {
		t.Fatalf("%+v, %v", skips, err)
	}
	if got, want := Pattern(skips), `^TestA$|^Test.*B$|^TestC$/^sub\.x$`; got != want {
		t.Errorf("pattern %s, want %s", got, want)
	}
	for _, s := range skips {
		for _, level := range strings.Split(s.pattern(), "/") {
			if _, err := regexp.Compile(level); err != nil {
				t.Error(err)
			}
		}
	}
	names := []string{"TestA", "TestAB", "TestB", "TestC"}
	for i, want := range []string{"TestA", "TestAB TestB", ""} {
		whole, there := skips[i].Matches(names)
		if strings.Join(whole, " ") != want || !there {
			t.Errorf("%s names %v, %t", skips[i].Test, whole, there)
		}
	}
	for _, bad := range []string{"p", "p TestA", "p Test(A|B) reason"} {
		if _, err := parseSkips(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestNamesAndFiles(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "src", "a", "b")
	for _, d := range []string{dir, filepath.Join(root, "src", "testdata"), filepath.Join(root, "src", "a", "testdata")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text := "package b\n\nfunc TestMain(m *testing.M) {}\nfunc TestX(t *testing.T) {}\nfunc (T) TestY() {}\nfunc ExampleZ() {}\nfunc helper() {}\n"
	if err := os.WriteFile(filepath.Join(dir, "b_test.go"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if names, err := Names(dir, []string{"b_test.go"}); err != nil || !slices.Equal(names, []string{"TestX", "ExampleZ"}) {
		t.Errorf("%v, %v", names, err)
	}
	files, err := Files(root, "a/b")
	if err != nil || len(files) < 2 || files[0] != "src/a/testdata" || files[1] != "src/testdata" {
		t.Errorf("%v, %v", files, err)
	}
}
