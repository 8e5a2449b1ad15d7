// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hvgo/hvgo/internal/testjob"
)

// testPlan is a command line of hvgo test, understood as go test does it.
type testPlan struct {
	packages []string // none: that of the current folder
	args     []string // of the test programs, as they take them, without -skip
	skip     string
	build    []string // flags of go test -c
	profiles map[string]string
	outDir   string // of profiles with a relative name
	output   string // of -c

	tags, gcflags, ldflags  string
	memory                  uint64 // bytes
	cpus                    int
	noSkip                  bool
	timeout                 time.Duration
	verbose, bench, list    bool
	json, cover, failFast   bool
	nested, native, compile bool
	help                    bool
}

// What a flag's value means to us; that of the others goes to the test program only.
var (
	// testBools are the test program's flags that need no value.
	testBools = []string{"v", "short", "failfast", "benchmem", "fullpath"}
	// testValues need one.
	testValues = []string{"run", "skip", "count", "timeout", "bench", "benchtime", "list", "parallel", "cpu", "shuffle",
		"blockprofilerate", "mutexprofilefraction", "memprofilerate"}
	// testFiles name a file that the test program writes.
	testFiles = []string{"cpuprofile", "memprofile", "blockprofile", "mutexprofile", "coverprofile", "trace"}
	// ownValues and ownBools are not the test program's.
	ownValues = []string{"tags", "gcflags", "ldflags", "o", "outputdir", "covermode", "coverpkg", "memory", "cpus", "p", "vet"}
	ownBools  = []string{"c", "json", "cover", "nested", "native", "noskip", "h", "help"}
	// notHere are flags of go test that have no meaning, or none yet.
	notHere = map[string]string{
		"race": "it needs cgo", "msan": "it needs cgo", "asan": "it needs cgo",
		"exec": "the tests run in a virtual machine", "i": "there is nothing to install",
		"fuzz": "the corpus cannot be kept; the seeds run as tests", "fuzztime": "there is no -fuzz", "fuzzminimizetime": "there is no -fuzz",
		"mod": "", "modfile": "", "overlay": "", "buildmode": "", "toolexec": "", "linkshared": "", "compiler": "", "a": "", "n": "", "x": "", "work": "",
		"asmflags": "", "gccgoflags": "", "pgo": "", "trimpath": "", "C": "", "testlogfile": "", "artifacts": "",
	}
)

const defaultTestTimeout = 10 * time.Minute // as go test has it

// parseTest understands a command line: flags and packages in any order, one dash
// or two. Flags that nobody knows are the test program's.
func parseTest(args []string) (*testPlan, error) {
	p := &testPlan{profiles: map[string]string{}, memory: 512 * mib, cpus: 1, timeout: defaultTestTimeout}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "-args" || arg == "--args" || arg == "--" {
			p.args = append(p.args, args...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			p.packages = append(p.packages, arg)
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		name = strings.TrimPrefix(name, "test.")
		if why, refused := notHere[name]; refused {
			if why != "" {
				why = ": " + why
			}
			return nil, fmt.Errorf("hvgo test has no flag -%s%s", name, why)
		}
		if needsValue(name) && !given {
			if len(args) == 0 {
				return nil, fmt.Errorf("flag -%s needs a value: see go help testflag", name)
			}
			value, args = args[0], args[1:]
		}
		if err := p.take(arg, name, value, given); err != nil {
			return nil, err
		}
	}
	return p, p.finish()
}

func needsValue(name string) bool {
	return slices.Contains(testValues, name) || slices.Contains(testFiles, name) || slices.Contains(ownValues, name)
}

// take puts one flag where it belongs.
func (p *testPlan) take(arg, name, value string, given bool) (err error) {
	on := true
	if given && (slices.Contains(ownBools, name) || slices.Contains(testBools, name)) {
		if on, err = strconv.ParseBool(value); err != nil && (name != "v" || value != "test2json") {
			return fmt.Errorf("flag -%s: %q is neither true nor false", name, value)
		}
	}
	switch {
	case slices.Contains(testFiles, name):
		if p.profiles[name] = value; value == "" {
			return fmt.Errorf("flag -%s needs the name of a file", name)
		}
		p.cover = p.cover || name == "coverprofile"
		return nil
	case slices.Contains(ownValues, name):
		return p.takeOwn(name, value)
	case slices.Contains(ownBools, name):
		for n, b := range map[string]*bool{"c": &p.compile, "json": &p.json, "cover": &p.cover, "nested": &p.nested, "native": &p.native, "noskip": &p.noSkip, "h": &p.help, "help": &p.help} {
			if n == name {
				*b = on
			}
		}
		return nil
	case slices.Contains(testBools, name):
		p.verbose = p.verbose && name != "v" || name == "v" && (on || value == "test2json")
		p.failFast = p.failFast && name != "failfast" || name == "failfast" && on
		if value == "" {
			value = "true"
		}
	case slices.Contains(testValues, name):
		p.bench, p.list = p.bench || name == "bench" && value != "", p.list || name == "list" && value != ""
		if name == "timeout" {
			if p.timeout, err = time.ParseDuration(value); err != nil || p.timeout < 0 {
				return fmt.Errorf("flag -timeout: %q is no duration, such as 30s or 10m; 0 is none", value)
			}
			return nil // finish adds it
		}
		if name == "skip" {
			p.skip = value
			return nil
		}
	default:
		p.args = append(p.args, arg)
		return nil
	}
	p.args = append(p.args, "-test."+name+"="+value)
	return nil
}

func (p *testPlan) takeOwn(name, value string) (err error) {
	switch name {
	case "tags":
		p.tags = value
	case "gcflags":
		p.gcflags = value
	case "ldflags":
		p.ldflags = value
	case "outputdir":
		p.outDir = value
	case "o":
		p.output = value
	case "covermode", "coverpkg":
		p.cover = true
		p.build = append(p.build, "-"+name+"="+value)
	case "memory":
		if p.memory, err = parseSize(value); err != nil {
			return fmt.Errorf("--memory: %w", err)
		}
		return checkMemory(p.memory)
	case "cpus":
		if p.cpus, err = strconv.Atoi(value); err != nil || p.cpus < 1 || p.cpus > maxCPUs {
			return fmt.Errorf("-cpus: a guest has 1 to %d processors, not %s", maxCPUs, value)
		}
	case "p", "vet": // one package after another, unvetted, whatever is asked for
	}
	return nil
}

// finish checks what does not go together, and adds what follows from the rest.
// Flags for the test program come before what -args gave it.
func (p *testPlan) finish() error {
	if p.nested && p.native {
		return errors.New("-nested and -native contradict each other")
	}
	if p.output != "" && !p.compile {
		return errors.New("flag -o is for -c, which writes the test program and runs nothing")
	}
	first := []string{"-test.paniconexit0", "-test.timeout=" + p.timeout.String()}
	if p.json {
		p.verbose = true
		p.args = slices.DeleteFunc(p.args, func(a string) bool { return strings.HasPrefix(a, "-test.v=") })
		first = append(first, "-test.v=test2json")
	}
	for _, name := range testFiles {
		if p.profiles[name] == "" {
			continue
		}
		first = append(first, "-test."+name+"="+testjob.OutDir+"/"+name)
		file := p.profiles[name]
		if p.outDir != "" && !filepath.IsAbs(file) {
			file = filepath.Join(p.outDir, file)
		}
		if st, err := os.Stat(filepath.Dir(file)); err != nil || !st.IsDir() {
			return fmt.Errorf("flag -%s: there is no folder %s", name, filepath.Dir(file))
		}
		p.profiles[name] = file
	}
	if p.cover {
		p.build = append(p.build, "-cover")
	}
	p.args = append(first, p.args...)
	return nil
}
