// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/test/witness"
	"github.com/hvgo/hvgo/test/witness/linux/report"
)

const (
	mib = 1 << 20
	// patience is for a guest that hangs; no test waits for it otherwise.
	patience = 5 * time.Minute
	// inputs names the folder with kernels and initial RAM disks.
	inputs = "HVGO_TEST_LINUX"
)

// folder is where the inputs are, and where what is for the outside goes; a test
// without it is skipped.
func folder(t testing.TB) string {
	t.Helper()
	hosttest.NeedKVM(t)
	dir := os.Getenv(inputs)
	if dir == "" {
		t.Skipf("%s names no folder of kernels (make witness sets it)", inputs)
	}
	return dir
}

// options are what a test wants of its guest: two processors and 384 MiB, unless
// Config says otherwise.
type options struct {
	series string            // of the kernel: "6.12"
	tasks  []string          // of report's names; system and dmesg are added
	params map[string]string // for tasks: KEY=VALUE for hvgo.KEY
	// allowed are rules that this kernel is known to break, with the reason.
	allowed map[string]string
	guest.Config
}

// linux is a guest that runs.
type linux struct {
	*guest.Guest
	t    testing.TB
	row  *witness.Row
	done chan struct{}
	exit machine.Exit // after done
	err  error

	mu      sync.Mutex // guards what follows
	line    []byte     // of the console, not yet ended
	console bytes.Buffer
	results map[string]report.Line // by task
	events  []report.Line
	changed chan struct{} // closed when there is more
	broken  map[string]string
}

// boot starts a guest with a row in the table; the test ends it by finish.
func boot(t testing.TB, row *witness.Row, o options) *linux {
	t.Helper()
	dir := folder(t)
	image, err1 := os.ReadFile(filepath.Join(dir, "vmlinuz-"+o.series))
	initrd, err2 := os.ReadFile(filepath.Join(dir, "initrd-"+o.series+".img"))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	l := &linux{
		t: t, row: row, done: make(chan struct{}), changed: make(chan struct{}),
		results: map[string]report.Line{}, broken: map[string]string{},
	}
	m := &o.Machine
	m.Image, m.Initrd, m.LoadOptions, m.Console = image, initrd, o.commandLine(), l
	m.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	m.Strict = func(rule, detail string) { l.breaks(rule, detail, o.allowed) }
	m.HugePages = true
	if m.VCPUs == 0 {
		m.VCPUs = 2
	}
	if m.Memory == 0 {
		m.Memory = 384 * mib
	}
	var err error
	if l.Guest, err = guest.New(o.Config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	go func() {
		defer close(l.done)
		l.exit, l.err = l.Run(context.Background())
	}()
	return l
}

// commandLine is the kernel's: quiet, as what it says costs time byte by byte, but for
// errors; task dmesg brings the rest.
func (o *options) commandLine() string {
	tasks := append([]string{report.System}, o.tasks...)
	words := []string{"console=ttyS0", "loglevel=4", "panic=-1", "hvgo.tasks=" + strings.Join(append(tasks, report.Dmesg), ",")}
	for _, key := range slices.Sorted(maps.Keys(o.params)) {
		words = append(words, "hvgo."+key+"="+o.params[key])
	}
	return strings.Join(words, " ")
}

// noUnload is why Linux may break vmbus.RuleUnload.
const noUnload = "hv_vmbus unloads before a kexec and after a crash, not when the machine is switched off"

// breaks notes a broken rule. It may be called with the server's locks held.
func (l *linux) breaks(rule, detail string, allowed map[string]string) {
	l.mu.Lock()
	first := l.broken[rule] == ""
	l.broken[rule] = detail
	l.mu.Unlock()
	why := allowed[rule]
	if rule == vmbus.RuleUnload {
		why = noUnload
	}
	if why == "" {
		l.t.Errorf("Linux broke rule %s: %s", rule, detail)
	} else if first {
		l.t.Logf("Linux broke rule %s, as is known (%s): %s", rule, why, detail)
	}
}

// Write takes the console's output.
func (l *linux) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.console.Write(p)
	l.line = append(l.line, p...)
	for {
		i := bytes.IndexByte(l.line, '\n')
		if i < 0 {
			return len(p), nil
		}
		l.take(string(l.line[:i]))
		l.line = l.line[i+1:]
	}
}

// take keeps a whole line; mu is held.
func (l *linux) take(text string) {
	line, ok, err := report.Parse(text)
	switch {
	case !ok:
		return
	case err != nil:
		l.t.Error(err)
	case line.Event != "":
		l.events = append(l.events, line)
	default:
		l.results[line.Task] = line
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// await waits until the guest has reported something: ask is called with mu held.
func (l *linux) await(what string, ask func() bool) {
	l.t.Helper()
	limit := time.After(patience)
	for ended := false; ; {
		l.mu.Lock()
		there, changed := ask(), l.changed
		l.mu.Unlock()
		switch {
		case there:
			return
		case ended:
			l.t.Fatalf("Linux ended with %v without %s", l.exit, what)
		}
		select {
		case <-changed:
		case <-l.done:
			ended = true
		case <-limit:
			l.t.Fatalf("no %s in %v", what, patience)
		}
	}
}

// awaitEvent waits for an event of a task's and returns its fields.
func (l *linux) awaitEvent(task, event string) (fields map[string]string) {
	l.t.Helper()
	l.await(task+": "+event, func() bool {
		i := slices.IndexFunc(l.events, func(e report.Line) bool { return e.Task == task && e.Event == event })
		if i >= 0 {
			fields = l.events[i].Fields
		}
		return i >= 0
	})
	return fields
}

// awaitResult waits for the end of a task and returns its results.
func (l *linux) awaitResult(task string) map[string]string {
	l.t.Helper()
	var r report.Line
	l.await(task, func() (ok bool) { r, ok = l.results[task]; return ok })
	if r.Error != "" {
		l.t.Errorf("task %s: %s", task, r.Error)
	}
	l.t.Logf("task %s: %.1f s, %v", task, r.Seconds, r.Fields)
	return r.Fields
}

// finish waits until Linux has done all tasks and has powered the machine off, and
// checks what every test does.
func (l *linux) finish() {
	l.t.Helper()
	if failed := l.awaitResult(report.End)["failed"]; failed != "0" {
		l.t.Errorf("%s tasks failed", failed)
	}
	select {
	case <-l.done:
	case <-time.After(patience):
		l.t.Fatalf("Linux does not power off")
	}
	if l.err != nil || l.exit.Kind != vmm.Shutdown || l.exit.Status != 0 {
		l.t.Errorf("Linux ended with %v, %v", l.exit, l.err)
	}
	l.row.SetVersion(l.awaitResult(report.System)["release"])
	l.checkMessages()
	l.t.Logf("%s", l.Figures())
}

// message is a line of Linux's kernel log.
type message struct {
	priority int
	text     string
}

// messages returns what task dmesg brought.
func (l *linux) messages() (all []message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if p, err := strconv.Atoi(e.Fields["priority"]); e.Task == report.Dmesg && err == nil {
			all = append(all, message{p, e.Fields["text"]})
		}
	}
	return all
}

// has tells whether a task reported an event.
func (l *linux) has(task, event string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.events, func(e report.Line) bool { return e.Task == task && e.Event == event })
}

// complaint matches messages of the drivers that are less than warnings, and yet
// tell of something wrong.
var complaint = regexp.MustCompile(`(?i)fail|error|unknown|invalid|unexpected|timed out|unsupported`)

// checkMessages fails the test for what Linux complains about, unless it is known
// not to be the host's fault.
func (l *linux) checkMessages() {
	l.t.Helper()
	l.awaitResult(report.Dmesg)
	const warning = 4
	all := l.messages()
	if len(all) == 0 || l.has(report.Dmesg, "lost") {
		l.t.Errorf("of the kernel's messages %d were reported, the others were lost", len(all))
	}
	for _, m := range all {
		if m.priority > warning && !complaint.MatchString(m.text) {
			l.t.Logf("kernel: %s", m.text)
			continue
		}
		if why := harmless(m.text); why != "" {
			l.t.Logf("kernel complains: %s (%s)", m.text, why)
			continue
		}
		l.t.Errorf("kernel complains: %s", m.text)
	}
}

// harmlessMessages are complaints of Linux's that are not about this host's doing: what
// they contain, and why.
var harmlessMessages = []struct{ contains, why string }{
	{"System does not support PCI", "nor has a Generation 2 machine any"},
	{"amd_pstate: the _CPC object is not present", "the processor's own feature, which wants ACPI objects that no virtual machine has"},
	{"hrtimer: interrupt took", "an emulated processor is slow"},
	{"hv_pci " + testBus.instance.String() + ": The device is gone", "the test takes it away"},
	{"probe failed for device " + testBus.instance.String() + " (-19)", "the test takes it away: ENODEV"},
}

func harmless(text string) string {
	for _, h := range harmlessMessages {
		if strings.Contains(text, h.contains) {
			return h.why
		}
	}
	return ""
}

// close ends the guest and frees it.
func (l *linux) close() {
	l.Stop()
	<-l.done
	if l.t.Failed() {
		l.mu.Lock()
		text := l.console.String()
		l.mu.Unlock()
		l.t.Logf("exit %v, %v\n%s\nconsole:\n%s", l.exit, l.err, l.exit.Detail, text)
	}
	if err := l.Close(); err != nil {
		l.t.Error(err)
	}
}

// rate is a figure for the table.
func rate(bytes int64, seconds string) string {
	s, err := strconv.ParseFloat(seconds, 64)
	if err != nil || s <= 0 {
		return "? MB/s"
	}
	return fmt.Sprintf("%.0f MB/s", float64(bytes)/s/1e6)
}
