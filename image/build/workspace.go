// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"encoding/json"
	"fmt"
	"go/version"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// modFile is what is needed of a go.mod or go.work file, as go mod edit and go
// work edit print it.
type modFile struct {
	Module  struct{ Path string }
	Go      string
	Godebug []struct{ Key, Value string }
	Use     []struct{ DiskPath string }
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

func (g *goTool) readModFile(ctx context.Context, kind, file string) (modFile, error) {
	out, words, err := g.run(ctx, filepath.Dir(file), []string{"GOWORK=off", "GOFLAGS="}, kind, "edit", "-json", file)
	if err != nil {
		return modFile{}, orCancelled(ctx, &Error{file + " cannot be read", words})
	}
	var m modFile
	if err := json.Unmarshal(out, &m); err != nil {
		return modFile{}, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

// workspace writes a go.work that joins the user's modules and hvgo's, and gives
// its name: in a workspace a module may import another that its go.mod does not
// name.
func (g *goTool) workspace(ctx context.Context, o Options, pkg *goPackage, tmp string) (string, error) {
	w, err := g.userWorkspace(ctx, pkg)
	if err != nil {
		return "", err
	}
	hasHvgo, err := w.addModules(ctx, g)
	if err != nil {
		return "", err
	}
	if !hasHvgo {
		src, err := g.source(ctx, o.Source)
		if err != nil {
			return "", err
		}
		w.dirs = append(w.dirs, src)
		m, err := g.readModFile(ctx, "mod", filepath.Join(src, "go.mod"))
		if err != nil {
			return "", err
		}
		w.raise(m.Go)
	}
	if pkg.Module != nil {
		vendor := filepath.Join(pkg.Module.Dir, "vendor")
		if st, err := os.Stat(vendor); err == nil && st.IsDir() {
			fmt.Fprintf(o.Log, "hvgo: %s is not used; the modules that go.mod names are\n", vendor)
		}
	}
	file := filepath.Join(tmp, "go.work")
	return file, os.WriteFile(file, []byte(w.String()), 0o666)
}

// sayRaised names the modules that the program gets in another version than its
// go.mod asks for, because hvgo's go.mod asks for a later one. What go list has
// to complain of, the compiler will too.
func (g *goTool) sayRaised(ctx context.Context, o Options, pkg *goPackage, workspace string) {
	out, _, err := g.run(ctx, pkg.Dir, []string{"GOWORK=" + workspace, "GOFLAGS=" + g.flags(), "CGO_ENABLED=0"},
		append(o.tags([]string{"list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}"}), ".")...)
	if err != nil {
		return
	}
	lines := strings.Split(string(out), "\n")
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) {
		path, now, _ := strings.Cut(line, " ")
		if was := pkg.versions[path]; was != "" && now != "" && was != now {
			fmt.Fprintf(o.Log, "hvgo: %s is %s in this build instead of %s, since hvgo requires it\n", path, now, was)
		}
	}
}

// work is the workspace to be written.
type work struct {
	goVersion string // the highest of all modules'
	dirs      []string
	replace   []string // whole lines
	godebug   []string // whole lines
	userGo    string   // what decides the program's GODEBUG defaults
}

// userWorkspace starts from the go.work in force, or from the package's module.
// The standard library is in no module: its defaults are the toolchain's own.
func (g *goTool) userWorkspace(ctx context.Context, pkg *goPackage) (*work, error) {
	w := &work{}
	if pkg.Module == nil {
		w.userGo = strings.TrimPrefix(version.Lang(g.version()), "go")
		return w, nil
	}
	file, kind := g.env.GOWORK, "work"
	if file == "" || file == "off" {
		file, kind = pkg.Module.GoMod, "mod"
	}
	m, err := g.readModFile(ctx, kind, file)
	if err != nil {
		return nil, err
	}
	w.userGo = m.Go
	w.raise(m.Go)
	for _, d := range m.Godebug {
		w.godebug = append(w.godebug, fmt.Sprintf("godebug %s=%s", d.Key, d.Value))
	}
	if kind == "mod" { // its replace directives hold in a workspace too
		w.dirs = []string{pkg.Module.Dir}
		return w, nil
	}
	base := filepath.Dir(file)
	abs := func(p string) string {
		if filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(base, filepath.FromSlash(p))
	}
	for _, u := range m.Use {
		w.dirs = append(w.dirs, abs(u.DiskPath))
	}
	for _, r := range m.Replace {
		target := r.New.Path
		if r.New.Version == "" {
			target = abs(target)
		}
		w.replace = append(w.replace, strings.TrimSpace(fmt.Sprintf("replace %s %s => %s %s",
			strconv.Quote(r.Old.Path), r.Old.Version, strconv.Quote(target), r.New.Version)))
	}
	return w, nil
}

// addModules reads the go.mod files of the workspace. It reports whether hvgo
// itself is among them.
func (w *work) addModules(ctx context.Context, g *goTool) (hasHvgo bool, err error) {
	for _, d := range w.dirs {
		m, err := g.readModFile(ctx, "mod", filepath.Join(d, "go.mod"))
		if err != nil {
			return false, err
		}
		w.raise(m.Go)
		hasHvgo = hasHvgo || m.Module.Path == modulePath
	}
	return hasHvgo, nil
}

// raise makes the workspace's go line at least v: it may not be below a
// module's.
func (w *work) raise(v string) {
	if w.goVersion == "" || version.Compare("go"+v, "go"+w.goVersion) > 0 {
		w.goVersion = v
	}
}

// String is the text of the go.work file. The go line of a workspace also sets
// the GODEBUG defaults, so those of the user's own go line are said apart.
func (w *work) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "go %s\n\n", w.goVersion)
	lang := version.Lang("go" + w.userGo)
	if lang == "" || version.Compare(lang, "go1.21") < 0 {
		lang = "go1.21" // the oldest that can be said
	}
	if !slices.ContainsFunc(w.godebug, func(l string) bool { return strings.HasPrefix(l, "godebug default=") }) {
		fmt.Fprintf(&b, "godebug default=%s\n", lang)
	}
	for _, l := range append(w.godebug, w.replace...) {
		fmt.Fprintln(&b, l)
	}
	for _, d := range w.dirs {
		fmt.Fprintf(&b, "use %s\n", strconv.Quote(filepath.ToSlash(d)))
	}
	return b.String()
}

// generated is the file of an overlay: the package's name, the import.
const generated = `// Code generated by hvgo build. DO NOT EDIT.

package %s

import _ %q
`

// writeOverlay adds a file to the package, for the go command only, that imports
// hvgo's runtime. It gives the name of the overlay.
func writeOverlay(pkgDir, tmp string) (string, error) {
	return overlayFile(pkgDir, tmp, "zz_hvgo%s.go", "main", modulePath)
}

// overlayFile is writeOverlay for any package clause and import. The pattern of the
// file's name has room for a number, in case the name is taken.
func overlayFile(pkgDir, tmp, pattern, clause, imported string) (string, error) {
	name := fmt.Sprintf(pattern, "")
	for i := 2; ; i++ {
		if _, err := os.Lstat(filepath.Join(pkgDir, name)); os.IsNotExist(err) {
			break
		} else if err != nil {
			return "", err
		}
		name = fmt.Sprintf(pattern, strconv.Itoa(i))
	}
	file := filepath.Join(tmp, "zz_hvgo.go")
	if err := os.WriteFile(file, fmt.Appendf(nil, generated, clause, imported), 0o666); err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(pkgDir, name): file}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(tmp, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o666)
}
