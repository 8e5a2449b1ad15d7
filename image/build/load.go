// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/build/constraint"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// goPackage is what is needed of go list's answer.
type goPackage struct {
	Dir, ImportPath, Name string
	Standard, DepOnly     bool
	CgoFiles, Imports     []string
	Module                *goModule
	Error                 *struct{ Err string }

	// versions are those of the modules that the package's imports come from;
	// load sets them.
	versions map[string]string
}

type goModule struct {
	Path, Version, Dir, GoMod string
	Main                      bool
}

// load asks about the package, of that name where the tool runs, and all it
// imports, and refuses what cannot become an image.
func (g *goTool) load(ctx context.Context, o Options, name string) (*goPackage, error) {
	if o.Package == "" || strings.HasSuffix(o.Package, ".go") || strings.Contains(o.Package, "@") || strings.HasPrefix(o.Package, "-") {
		return nil, failf("%q: give the folder or import path of one main package", o.Package)
	}
	// With cgo on, go list says which packages would use it.
	args := o.tags([]string{"list", "-deps", "-json=Dir,ImportPath,Name,Standard,DepOnly,CgoFiles,Imports,Module,Error"})
	out, words, err := g.run(ctx, g.dir, []string{"CGO_ENABLED=1"}, append(args, "--", name)...)
	if err != nil {
		return nil, orCancelled(ctx, &Error{o.Package + " cannot be loaded", words})
	}
	all, versions := map[string]*goPackage{}, map[string]string{}
	var roots []*goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := &goPackage{}
		if err := d.Decode(p); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all[p.ImportPath] = p
		if p.Module != nil {
			versions[p.Module.Path] = p.Module.Version
		}
		if !p.DepOnly {
			roots = append(roots, p)
		}
	}
	if len(roots) != 1 {
		return nil, failf("%s names %d packages; give one main package", o.Package, len(roots))
	}
	root := roots[0]
	root.versions = versions
	switch {
	case root.Standard:
		return nil, failf("%s is part of the standard library; give a main package", o.Package)
	case root.Name != "main":
		return nil, failf("%s is not a program: it is package %s, not package main", o.Package, root.Name)
	case root.Module == nil:
		return nil, failf("%s is in no module; make one with: go mod init", o.Package)
	case !root.Module.Main:
		return nil, failf("%s is in a module of others (%s); build it in a checkout of that module", o.Package, root.Module.Path)
	}
	return root, checkCgo(root, all)
}

// checkCgo refuses a package that has no way around cgo: a file that imports
// "C" and no build constraint by which its author provides for its absence.
func checkCgo(root *goPackage, all map[string]*goPackage) error {
	for _, p := range all {
		if p.Standard {
			continue
		}
		for _, f := range p.CgoFiles {
			if optionalCgo(filepath.Join(p.Dir, f)) {
				continue
			}
			if p == root {
				return failf("%s needs cgo: %s imports \"C\"; a virtual machine of hvgo has no C library", p.ImportPath, f)
			}
			return failf("%s needs cgo: %s imports \"C\" (imported by %s); use a package in pure Go instead", p.ImportPath, f, importer(root, p, all))
		}
	}
	return nil
}

// optionalCgo reports whether a file's build constraint speaks of cgo.
func optionalCgo(file string) bool {
	b, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "package ") {
			return false
		}
		if !constraint.IsGoBuild(line) {
			continue
		}
		expr, err := constraint.Parse(line)
		if err != nil {
			return false
		}
		found := false
		expr.Eval(func(tag string) bool { found = found || tag == "cgo"; return true })
		return found || strings.Contains(expr.String(), "cgo")
	}
	return false
}

// importer is the chain of imports from the root to a package, the nearest way.
func importer(root, p *goPackage, all map[string]*goPackage) string {
	via := map[string]string{root.ImportPath: ""}
	queue := []string{root.ImportPath}
	for len(queue) > 0 && via[p.ImportPath] == "" {
		at := queue[0]
		queue = queue[1:]
		if all[at] == nil {
			continue
		}
		for _, i := range all[at].Imports {
			if _, seen := via[i]; !seen {
				via[i] = at
				queue = append(queue, i)
			}
		}
	}
	var chain []string
	for at := via[p.ImportPath]; at != ""; at = via[at] {
		chain = append(chain, at)
	}
	return strings.Join(chain, ", imported by ")
}
