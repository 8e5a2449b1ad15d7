// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command guest is PID 1 of the Linux guest in test/witness/linux. It loads the
// kernel's modules, does the tasks that the kernel's command line names, and powers
// the machine off:
//
//	hvgo.tasks=system,disk,dmesg   the tasks, in this order (tasks.go)
//	hvgo.skip=hv_balloon           a module that is not to be loaded
//	hvgo.KEY=VALUE                 a parameter for tasks
//
// What it finds goes to the console as lines of package report. Its other name,
// /sbin/poweroff, is what the kernel runs when the host asks for a shutdown.
package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/test/witness/linux/report"
)

func main() {
	if os.Getpid() != 1 {
		poweroffAsked()
		return
	}
	failed := 0
	params, err := setUp()
	if err != nil {
		say(report.Line{Task: "init", Error: err.Error()})
		failed++
	}
	for name := range strings.SplitSeq(params["tasks"], ",") {
		if name != "" && !do(name, params) {
			failed++
		}
	}
	say(report.Line{Task: report.End, Fields: map[string]string{"failed": fmt.Sprint(failed)}})
	unix.Sync()
	err = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	say(report.Line{Task: "poweroff", Error: fmt.Sprint(err)}) // then the kernel panics
}

// run is a task at work.
type run struct {
	name   string
	params map[string]string // of the command line, without "hvgo."
	fields map[string]string // results
}

// set notes a result.
func (r *run) set(key string, value any) { r.fields[key] = fmt.Sprint(value) }

// event tells the host something at once, for it to act on.
func (r *run) event(name string, fields map[string]string) {
	say(report.Line{Task: r.name, Event: name, Fields: fields})
}

// do does a task and reports.
func do(name string, params map[string]string) bool {
	r := &run{name: name, params: params, fields: map[string]string{}}
	start := time.Now()
	err := fmt.Errorf("no such task: there are %s", strings.Join(slices.Sorted(maps.Keys(tasks)), ", "))
	if task := tasks[name]; task != nil {
		err = task(r)
	}
	l := report.Line{Task: name, Seconds: time.Since(start).Seconds(), Fields: r.fields}
	if err != nil {
		l.Error = err.Error()
	}
	say(l)
	return err == nil
}

// say writes a line in one piece. The kernel's messages may stand before it on the
// same line, hence the line feed in front.
func say(l report.Line) { _, _ = os.Stdout.WriteString("\n" + l.String() + "\n") }

// setUp mounts what the kernel provides, reads the command line and loads the modules.
func setUp() (map[string]string, error) {
	for _, m := range []struct{ kind, path string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := os.MkdirAll(m.path, 0o755); err != nil {
			return nil, err
		}
		if err := unix.Mount(m.kind, m.path, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("mount %s: %w", m.path, err)
		}
	}
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	params := parameters(string(line))
	return params, loadModules("/modules", params["skip"])
}

// parameters picks ours from the kernel's command line.
func parameters(line string) map[string]string {
	params := map[string]string{}
	for word := range strings.FieldsSeq(line) {
		if rest, ok := strings.CutPrefix(word, "hvgo."); ok {
			key, value, _ := strings.Cut(rest, "=")
			params[key] = value
		}
	}
	return params
}

// loadModules loads a folder's modules in the order of their names, but for one.
func loadModules(dir, skip string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.ko"))
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range files { // Glob sorts
		if skip != "" && strings.HasSuffix(name, "-"+skip+".ko") {
			continue
		}
		if err := loadModule(name); err != nil && !errors.Is(err, unix.EEXIST) {
			errs = append(errs, fmt.Errorf("load %s: %w", filepath.Base(name), err))
		}
	}
	return errors.Join(errs...)
}

func loadModule(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}
