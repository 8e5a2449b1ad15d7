// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The tests in this file are the house rules. Each says why in its comment;
// where a rule is in the way, change it here with a reason, in the same commit.

// root is the module's folder. The tests do not stand there because package hvgo
// itself links only with -checklinkname=0, and these need nothing of it.
const root = "../.."

const modulePath = "github.com/hvgo/hvgo"

// machinePackages run on the machine itself, some of them in trap context. They
// alone may use unsafe freely and hold assembly.
var machinePackages = []string{"runtime/...", "boot", "hv"}

// unsafePackages have *_unsafe.go files: memory shared with the other side, and
// ioctls; system calls with addresses that are wrong. The shorter this list, the
// better.
var unsafePackages = []string{
	"bench/sys", // what it measures are system calls
	"drivers/storvsc", "drivers/vmbus",
	"host/hyperv", "host/kvm", "host/vmbus",
	"internal/loopback",
	"test/hostile", "test/vm/guests/probe",
}

// importRule says what the packages of a folder may or may not import.
type importRule struct {
	packages []string // folders; with /... all below
	never    []string // import paths; hvgo/ stands for the module's
	only     []string // when set, nothing else
	why      string
}

var importRules = []importRule{
	{
		packages: []string{"internal/wire/..."},
		only:     []string{"encoding/binary", "errors", "fmt", "bytes", "hvgo/internal/guid"},
		why:      "wire packages are nouns that both sides share: no behaviour, no dependencies",
	},
	{
		packages: []string{"host/..."},
		never:    []string{"hvgo/drivers/...", "hvgo/runtime/...", "hvgo/hv", "hvgo/boot", "hvgo/netstack"},
		why:      "the test host is written apart from the guest, so that they do not share a mistake",
	},
	{
		packages: []string{"drivers/..."},
		never:    []string{"hvgo/host/...", "hvgo/runtime/...", "hvgo/hv", "hvgo/boot", "hvgo/netstack", "hvgo/internal/loopback"},
		why:      "drivers run under go test: the platform is an interface, and boot gives it",
	},
	{
		packages: []string{"netstack/..."},
		never: []string{
			"hvgo/drivers/...", "hvgo/host/...", "hvgo/hv", "hvgo/runtime/efi", "hvgo/runtime/mem", "hvgo/runtime/ring0",
			"hvgo/runtime/sched", "hvgo/runtime/serial", "hvgo/runtime/trap", "hvgo/runtime/vdso",
		},
		why: "it serves sockets to runtime/linux and runs under go test; boot plugs the driver in",
	},
	{
		packages: []string{"runtime/..."},
		never:    []string{"hvgo/drivers/...", "hvgo/host/...", "hvgo/netstack"},
		why:      "each defines the small interface it needs, and boot plugs the drivers in",
	},
	{
		packages: []string{"runtime/linux"},
		never:    []string{"hvgo/..."},
		why:      "files and sockets run under go test on Linux: the rest comes in by its hooks",
	},

	// The layers of trap context, from below. What they call is checked by
	// internal/imagecheck; golang.org/x/sys/unix is for numbers.
	{
		packages: []string{"runtime/realmode", "runtime/ring0", "runtime/vdso"},
		only:     []string{"sync/atomic", "unsafe"},
		why:      "the lowest layer",
	},
	{
		packages: []string{"runtime/mem", "runtime/serial"},
		only:     []string{"unsafe", "hvgo/runtime/ring0"},
		why:      "the layer on ring0",
	},
	{
		packages: []string{"hv"},
		only:     []string{"math/bits", "sync/atomic", "hvgo/internal/wire/tlfs", "hvgo/runtime/mem", "hvgo/runtime/ring0"},
		why:      "the hypervisor's layer stands on mem and ring0",
	},
	{
		packages: []string{"runtime/efi"},
		only:     []string{"unsafe", "hvgo/runtime/mem", "hvgo/runtime/ring0"},
		why:      "the firmware's layer stands on mem and ring0",
	},
	{
		packages: []string{"runtime/handover"},
		only:     []string{"unsafe", "hvgo/internal/wire/direct"},
		why:      "it reads what the host wrote, and runs under go test",
	},
	{
		packages: []string{"runtime/acpi"},
		only:     []string{"encoding/binary", "hvgo/runtime/handover", "hvgo/runtime/ring0"},
		why:      "reading tables runs under go test; ports are ring0's",
	},
	{
		packages: []string{"runtime/rtc"},
		only:     []string{"hvgo/runtime/efi", "hvgo/runtime/ring0"},
		why:      "a clock behind two ports, whose time has the form of EFI's",
	},
	{
		packages: []string{"runtime/power"},
		only:     []string{"hvgo/runtime/acpi", "hvgo/runtime/efi", "hvgo/runtime/ring0", "hvgo/runtime/serial"},
		why:      "the machine's end stands on the ways to it",
	},
	{
		packages: []string{"runtime/report"},
		only:     []string{"unsafe", "golang.org/x/arch/x86/x86asm", "hvgo/runtime/linux", "hvgo/runtime/ring0", "hvgo/runtime/serial"},
		why:      "what tells of a crash stands on little",
	},
	{
		packages: []string{"runtime/sched"},
		only:     []string{"math/bits", "sync/atomic", "unsafe", "hvgo/hv", "hvgo/runtime/mem", "hvgo/runtime/ring0"},
		why:      "threads stand on hv, mem and ring0",
	},
	{
		packages: []string{"runtime/trap"},
		only: []string{
			"math/bits", "sync", "time", "sync/atomic", "unsafe", "golang.org/x/sys/unix", "hvgo/internal/wire/tlfs", "hvgo/hv", "hvgo/runtime/efi", "hvgo/runtime/linux",
			"hvgo/runtime/mem", "hvgo/runtime/power", "hvgo/runtime/report", "hvgo/runtime/ring0", "hvgo/runtime/sched", "hvgo/runtime/serial",
		},
		why: "the entries stand on all other layers, but not on boot",
	},
	{
		packages: []string{
			"cmd/...", "drivers/...", "examples/...", "host/...", "hv", "image/...", "internal/...", "netstack/...",
			"runtime/...", "test/...",
		},
		never: []string{"hvgo/boot"},
		why:   "boot stands above all; only package hvgo imports it",
	},
	{
		packages: []string{"image/...", "cmd/..."},
		never:    []string{"hvgo/runtime/...", "hvgo/hv", "hvgo/boot", "hvgo/drivers/..."},
		why:      "what runs on a developer's machine builds on any system",
	},
}

// file is a source file of the project.
type file struct {
	path   string // from the root, with slashes
	text   []byte
	syntax *ast.File // Go only
	set    *token.FileSet
}

func (f *file) folder() string { return path.Dir(f.path) }
func (f *file) isGo() bool     { return f.syntax != nil }
func (f *file) isTest() bool   { return strings.HasSuffix(f.path, "_test.go") }
func (f *file) isData() bool   { return strings.Contains("/"+f.path, "/testdata/") }

// project reads all source files once.
var project = sync.OnceValues(func() ([]*file, error) {
	var files []*file
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") && base != ".ci" || name == "bin" || name == "out") {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || !isSource(name) {
			return nil
		}
		f := &file{path: name, set: token.NewFileSet()}
		if f.text, err = os.ReadFile(filepath.Join(root, name)); err != nil {
			return err
		}
		if path.Ext(name) == ".go" {
			f.syntax, err = parser.ParseFile(f.set, name, f.text, parser.ParseComments)
		}
		files = append(files, f)
		return err
	})
	return files, err
})

// isSource reports whether the rules for text apply to a file.
func isSource(name string) bool {
	switch path.Ext(name) {
	case ".go", ".s", ".h", ".md", ".sh", ".yml", ".yaml", ".mod":
		return true
	case "":
		return path.Base(name) != "LICENSE" && !strings.Contains("/"+name, "/testdata/")
	}
	return false
}

// each calls check for every source file, and reports what it returns.
func each(t *testing.T, check func(f *file) string) {
	t.Helper()
	files, err := project()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d source files found: the rules are not looking at the project", len(files))
	}
	for _, f := range files {
		if complaint := check(f); complaint != "" {
			t.Errorf("%s: %s", f.path, complaint)
		}
	}
}

// in reports whether a folder is in a list of folders.
func in(list []string, folder string) bool {
	return slices.ContainsFunc(list, func(pattern string) bool {
		if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
			return folder == parent || strings.HasPrefix(folder, parent+"/")
		}
		return folder == pattern
	})
}

// imports lists what a Go file imports, with hvgo/ for the module's path.
func (f *file) imports() []string {
	var paths []string
	for _, spec := range f.syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the compiler says so
		}
		if folder, ours := strings.CutPrefix(p, modulePath+"/"); ours {
			p = "hvgo/" + folder
		}
		paths = append(paths, p)
	}
	return paths
}

// Memory that is not Go's is touched in few places, which are easy to find.
func TestUnsafePlaces(t *testing.T) {
	each(t, func(f *file) string {
		if !f.isGo() || f.isTest() || f.isData() || in(machinePackages, f.folder()) {
			return ""
		}
		named := strings.HasSuffix(f.path, "_unsafe.go")
		uses := slices.Contains(f.imports(), "unsafe")
		switch {
		case uses && !named:
			return "imports unsafe; only files named *_unsafe.go may"
		case uses && !in(unsafePackages, f.folder()):
			return "a new package with unsafe: say why in unsafePackages"
		case named && !uses:
			return "does not import unsafe any more: rename it"
		}
		return ""
	})
}

// Assembly is what no tool of Go checks.
func TestAssemblyPlaces(t *testing.T) {
	each(t, func(f *file) string {
		if ext := path.Ext(f.path); ext != ".s" && ext != ".h" || f.isData() || in(machinePackages, f.folder()) {
			return ""
		}
		return "assembly outside boot, runtime and hv"
	})
}

// The order of the layers; docs/ARCHITECTURE.md draws it.
func TestImportDirections(t *testing.T) {
	each(t, func(f *file) string {
		if !f.isGo() || f.isTest() || f.isData() {
			return "" // tests may join both sides
		}
		return wrongImport(f.folder(), f.imports())
	})
}

// wrongImport says which rule the imports of a package break, if any.
func wrongImport(folder string, imports []string) string {
	for _, rule := range importRules {
		if !in(rule.packages, folder) {
			continue
		}
		for _, p := range imports {
			if in(rule.never, p) || rule.only != nil && !in(rule.only, p) {
				return "imports " + p + ": " + rule.why
			}
		}
	}
	return ""
}

// A rule for a folder that is gone, or was misspelt, cannot fail.
func TestRulesNamePackages(t *testing.T) {
	files, err := project()
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, f := range files {
		if f.isGo() && !f.isTest() && !f.isData() {
			folders = append(folders, f.folder())
		}
	}
	patterns := slices.Concat(machinePackages, unsafePackages)
	for _, rule := range importRules {
		patterns = append(patterns, rule.packages...)
		for _, p := range slices.Concat(rule.never, rule.only) {
			if ours, ok := strings.CutPrefix(p, "hvgo/"); ok && ours != "..." {
				patterns = append(patterns, ours)
			}
		}
	}
	for _, pattern := range patterns {
		if !slices.ContainsFunc(folders, func(folder string) bool { return in([]string{pattern}, folder) }) {
			t.Errorf("a rule names %s, and no package is there", pattern)
		}
	}
}

// A newcomer reads package comments first: what it is for, and where it stands.
func TestPackageComments(t *testing.T) {
	files, err := project()
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, f := range files {
		if !f.isGo() || f.isTest() || f.isData() {
			continue
		}
		want := "Package " + f.syntax.Name.Name + " "
		if f.syntax.Name.Name == "main" {
			want = "Command "
		}
		has := f.syntax.Doc != nil && strings.HasPrefix(f.syntax.Doc.Text(), want)
		documented[f.folder()] = documented[f.folder()] || has
	}
	for folder, has := range documented {
		if !has {
			t.Errorf("%s: no file has a package comment (\"Package name ...\" or \"Command name ...\")", folder)
		}
	}
}

func TestFormat(t *testing.T) {
	each(t, func(f *file) string {
		if !f.isGo() {
			return ""
		}
		formatted, err := format.Source(f.text)
		if err != nil {
			return err.Error()
		}
		if !bytes.Equal(formatted, f.text) {
			return "not formatted: gofmt -w " + f.path
		}
		return ""
	})
}

// A file that cannot be read at one sitting is two files.
func TestFileLength(t *testing.T) {
	const limit = 600
	each(t, func(f *file) string {
		lines := bytes.Count(f.text, []byte("\n"))
		if ext := path.Ext(f.path); (ext == ".go" || ext == ".s") && lines > limit {
			return strconv.Itoa(lines) + " lines; the limit is " + strconv.Itoa(limit)
		}
		return ""
	})
}

func TestLicenceHeader(t *testing.T) {
	const header = "// Copyright 2026 The hvgo Authors\n// SPDX-License-Identifier: Apache-2.0\n\n"
	each(t, func(f *file) string {
		ext := path.Ext(f.path)
		if ext != ".go" && ext != ".s" && ext != ".h" || bytes.HasPrefix(f.text, []byte(header)) {
			return ""
		}
		return "does not begin with the two lines of the licence and an empty one"
	})
}

// forbidden are words that mean nothing to a reader of the project: places on
// one machine, and how a text came to be. Put together here, so that this file
// does not contain them.
var forbidden = []*regexp.Regexp{
	regexp.MustCompile(`/wor` + `k/`),
	regexp.MustCompile(`/tmp/bri` + `ef`),
	regexp.MustCompile(`\b(style|design|hosts|peers|libraries|bri` + `ef)\.md\b`),
	regexp.MustCompile(`\b[Ss]hare` + `d/`),
	regexp.MustCompile(`(?i)\bcl` + `aude\b`),
	regexp.MustCompile(`(?i)\banth` + `ropic\b`),
	regexp.MustCompile(`(?i)\bchat` + `gpt\b`),
	regexp.MustCompile(`\bA` + `I\b`),
	regexp.MustCompile(`\bLL` + `Ms?\b`),
	regexp.MustCompile(`(?i)\bco-auth` + `ored-by\b`),
	regexp.MustCompile(`\bFI` + `XME\b|\bXX` + `X\b|\bHA` + `CK\b`),
}

func TestForbiddenWords(t *testing.T) {
	each(t, func(f *file) string {
		for _, word := range forbidden {
			if at := word.FindIndex(f.text); at != nil {
				line := 1 + bytes.Count(f.text[:at[0]], []byte("\n"))
				return "line " + strconv.Itoa(line) + ": " + strconv.Quote(string(f.text[at[0]:at[1]]))
			}
		}
		return ""
	})
}

// TestRulesBite checks that the rules find what they are for.
func TestRulesBite(t *testing.T) {
	for _, test := range []struct {
		list   []string
		folder string
		want   bool
	}{
		{[]string{"host/..."}, "host", true},
		{[]string{"host/..."}, "host/vmbus", true},
		{[]string{"host/..."}, "hosts", false},
		{[]string{"hv"}, "hv", true},
		{[]string{"hv"}, "hv/x", false},
	} {
		if got := in(test.list, test.folder); got != test.want {
			t.Errorf("in(%q, %q) = %v", test.list, test.folder, got)
		}
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nimport \"github.com/hvgo/hvgo/drivers/vmbus\"\n", 0)
	if err != nil {
		t.Fatal(err)
	}
	f := &file{path: "host/x/x.go", syntax: syntax}
	if got := f.imports(); !slices.Equal(got, []string{"hvgo/drivers/vmbus"}) {
		t.Errorf("an import of drivers/vmbus in host/x is seen as %q", got)
	}
	for _, test := range []struct {
		folder, imports string
		wrong           bool
	}{
		{"host/x", "hvgo/drivers/vmbus", true},
		{"drivers/x", "hvgo/host/vmbus", true},
		{"hv", "hvgo/runtime/mem", false},
		{"hv", "hvgo/runtime/trap", true},
		{"runtime/mem", "hvgo/hv", true},
		{"runtime/sched", "hvgo/hv", false},
		{"runtime/sched", "hvgo/runtime/linux", true},
		{"runtime/serial", "hvgo/runtime/mem", true},
		{"runtime/efi", "hvgo/hv", true},
		{"runtime/vdso", "hvgo/runtime/ring0", true},
		{"runtime/linux", "hvgo/runtime/mem", true},
		{"runtime/linux", "golang.org/x/sys/unix", false},
		{"runtime/trap", "hvgo/runtime/linux", false},
		{"runtime/trap", "hvgo/boot", true},
		{"netstack", "hvgo/runtime/linux", false},
		{"netstack", "hvgo/runtime/sched", true},
		{"cmd/hvgo", "hvgo/boot", true},
		{".", "hvgo/boot", false},
		{"boot", "hvgo/drivers/vmbus", false},
	} {
		if got := wrongImport(test.folder, []string{test.imports}); (got != "") != test.wrong {
			t.Errorf("%s imports %s: %q", test.folder, test.imports, got)
		}
	}
	for _, pattern := range forbidden {
		if pattern.MatchString("A kernel, an error, a helper, a shared ring, sharing; hosts and peers.") {
			t.Errorf("%v forbids ordinary words", pattern)
		}
	}
}
