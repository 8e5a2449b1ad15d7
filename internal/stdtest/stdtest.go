// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package stdtest is what hvgo test knows of the tests of Go's standard library,
// in two lists beside this file:
//
//	skip.txt   tests that no virtual machine without processes can pass, each with a reason
//	files.txt  files of GOROOT that tests read outside of their package's folder, and which read their own program
package stdtest

import (
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

//go:embed skip.txt
var skipList string

//go:embed files.txt
var fileList string

// Skip is a line of skip.txt.
type Skip struct {
	Package string // import path
	Test    string // names of a test and its sub-tests, with slashes; * stands for any letters
	Reason  string
	Line    int // in skip.txt
}

// Skips are the lines of skip.txt for a package.
func Skips(pkg string) ([]Skip, error) {
	var own []Skip
	all, err := parseSkips(skipList)
	for _, s := range all {
		if s.Package == pkg {
			own = append(own, s)
		}
	}
	return own, err
}

func parseSkips(text string) ([]Skip, error) {
	var all []Skip
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		pkg, rest, _ := strings.Cut(line, " ")
		test, reason, _ := strings.Cut(strings.TrimSpace(rest), " ")
		reason = strings.TrimSpace(reason)
		if test == "" || reason == "" {
			return nil, fmt.Errorf("skip.txt:%d: not a package, a test and a reason", n)
		}
		if strings.ContainsAny(test, "|()[]?") {
			return nil, fmt.Errorf("skip.txt:%d: %s: a name may hold * only", n, test)
		}
		all = append(all, Skip{pkg, test, reason, n})
	}
	return all, nil
}

// pattern is the test as an argument of -test.skip.
func (s Skip) pattern() string {
	levels := strings.Split(s.Test, "/")
	for i, l := range levels {
		levels[i] = "^" + strings.ReplaceAll(regexp.QuoteMeta(l), `\*`, ".*") + "$"
	}
	return strings.Join(levels, "/")
}

// Pattern is an argument of -test.skip that leaves out all of them.
func Pattern(skips []Skip) string {
	var all []string
	for _, s := range skips {
		all = append(all, s.pattern())
	}
	return strings.Join(all, "|")
}

// Matches are the top-level tests that a line names as a whole. For a line that
// names sub-tests those are none, and parent says whether there is a test that may
// have them.
func (s Skip) Matches(names []string) (whole []string, parent bool) {
	top, _, sub := strings.Cut(s.Test, "/")
	for _, n := range names {
		if ok, err := path.Match(top, n); err != nil || !ok {
			continue
		}
		parent = true
		if !sub {
			whole = append(whole, n)
		}
	}
	return whole, parent
}

// Names are the tests, examples, benchmarks and fuzz targets in test files of a
// folder.
func Names(dir string, files []string) ([]string, error) {
	var names []string
	set := token.NewFileSet()
	for _, file := range files {
		f, err := parser.ParseFile(set, filepath.Join(dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil {
				continue
			}
			for _, kind := range []string{"Test", "Example", "Benchmark", "Fuzz"} {
				if strings.HasPrefix(fn.Name.Name, kind) && fn.Name.Name != "TestMain" {
					names = append(names, fn.Name.Name)
				}
			}
		}
	}
	return names, nil
}

// Tags are the build tags that the tests of a package need, "" for none. The tests
// of package time load a time zone when the package is initialized. That is before
// there are files: hvgo, as any program, is initialized after package time. With the
// tag they take the copy of the time zones that the library can embed.
func Tags(pkg string) string {
	if pkg == "time" {
		return "timetzdata"
	}
	return ""
}

// Files are the files and whole folders, below GOROOT and with slashes, that the
// tests of a package read: testdata of the folders above, and the lines of files.txt.
func Files(goroot, pkg string) ([]string, error) {
	var files []string
	for dir := path.Dir("src/" + pkg); dir != "."; dir = path.Dir(dir) {
		name := dir + "/testdata"
		if st, err := os.Stat(filepath.Join(goroot, filepath.FromSlash(name))); err == nil && st.IsDir() {
			files = append(files, name)
		}
	}
	lines, err := parseFiles(fileList)
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		if l.pkg != pkg && l.pkg != "*" || l.path == program {
			continue
		}
		if l.path != "src" {
			files = append(files, l.path)
			continue
		}
		entries, err := os.ReadDir(filepath.Join(goroot, "src"))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Name() != "cmd" {
				files = append(files, "src/"+e.Name())
			}
		}
	}
	return files, nil
}

// Program tells whether tests of a package read the file of their own program.
func Program(pkg string) bool {
	lines, _ := parseFiles(fileList) // Files tells of a bad line
	return slices.Contains(lines, fileLine{pkg, program})
}

// program in the place of a path is the file of the test program.
const program = "program"

// fileLine is a line of files.txt.
type fileLine struct {
	pkg  string // import path, or * for all
	path string // below GOROOT, or program
}

func parseFiles(text string) ([]fileLine, error) {
	var all []fileLine
	n := 0
	for line := range strings.Lines(text) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) != 2 || !filepath.IsLocal(filepath.FromSlash(words[1])) {
			return nil, fmt.Errorf("files.txt:%d: not a package and a path below GOROOT", n)
		}
		all = append(all, fileLine{words[0], words[1]})
	}
	return all, nil
}
