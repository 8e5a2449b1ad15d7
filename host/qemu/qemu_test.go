// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseVersion(t *testing.T) {
	for _, tt := range []struct {
		out, version string
		numbers      [2]int
	}{
		{"QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\nCopyright", "10.0.2", [2]int{10, 0}},
		{"QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n", "7.2.22", [2]int{7, 2}},
		{"QEMU emulator version 99999999999999999999.1", "of an unknown version", [2]int{}},
		{"bash: not found", "of an unknown version", [2]int{}},
	} {
		if version, numbers := parseVersion([]byte(tt.out)); version != tt.version || numbers != tt.numbers {
			t.Errorf("parseVersion(%q) = %q, %d", tt.out, version, numbers)
		}
	}
}

func TestLibraryFolders(t *testing.T) {
	out := "\tlinux-vdso.so.1 (0x00007ffd8b5c3000)\n\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f)\n" +
		"\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x1)\n\tlibq.so => /opt/q/libq.so (0x2)\n\tliblost.so => not found\n" +
		"\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n"
	if got := libraryFolders([]byte(out)); !slices.Equal(got, []string{"/lib/x86_64-linux-gnu", "/opt/q"}) {
		t.Errorf("libraryFolders = %q", got)
	}
}

func TestProgramLine(t *testing.T) {
	p := &Program{Command: []string{"/a b/ld.so", "q"}, Folders: []string{"/x"}, Version: "1.2", Devices: []string{Bridge}}
	got, err := ParseProgram(p.Encode())
	if err != nil || !slices.Equal(got.Command, p.Command) || !got.Has(Bridge) || got.Has(Balloon) {
		t.Errorf("ParseProgram = %+v, %v", got, err)
	}
	for _, bad := range []string{"", "{", "{}", "[]"} {
		if _, err := ParseProgram(bad); err == nil {
			t.Errorf("ParseProgram(%q) succeeded", bad)
		}
	}
}

// TestFind asks the installed QEMU, and runs the command that it makes of it.
func TestFind(t *testing.T) {
	path, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		if os.Getenv("HVGO_REQUIRE_QEMU") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	p, err := Find(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", p)
	if _, version := parseVersion([]byte("QEMU emulator version " + p.Version)); p.Has(Balloon) != (slices.Compare(version[:], []int{8, 2}) >= 0) {
		t.Errorf("QEMU %s has the devices %q", p.Version, p.Devices)
	}
	if out, err := p.ask(t.Context(), "--version"); err != nil || !strings.Contains(string(out), p.Version) {
		t.Errorf("%q --version: %s, %v", p.Command, out, err)
	}
	if p.Command[0] != path { // started by its loader: it must be told where its data is
		const bios = "bios-256k.bin"
		if !slices.ContainsFunc(p.Command, func(dir string) bool { _, err := os.Stat(filepath.Join(dir, bios)); return err == nil }) {
			t.Errorf("%s is in no -L of %q", bios, p.Command)
		}
	}
	for _, file := range p.Command {
		if strings.HasPrefix(file, "/") && !strings.Contains(file, ":") && !slices.ContainsFunc(p.Folders, func(dir string) bool {
			return file == dir || strings.HasPrefix(file, dir+"/")
		}) {
			t.Errorf("%s is in none of %q", file, p.Folders)
		}
	}
	if _, err := Find(t.Context(), "/bin/true", nil); err == nil {
		t.Error("/bin/true passes for QEMU")
	}
}

func TestArgs(t *testing.T) {
	all := &Program{Devices: []string{Bridge, Balloon, TestDevice}}
	old := &Program{Devices: []string{Bridge}}
	for _, tt := range []struct {
		name       string
		c          Config
		with, lack []string // in the arguments, separated by spaces
	}{
		{"kernel", Config{Program: all, Memory: 128 * mib, Kernel: "/k", CommandLine: "-- a"},
			[]string{"-m 128", "-smp 1", "-cpu host,kvm=off," + AllFlags, "-device vmbus-bridge -device hv-balloon,status-report=on", "-kernel /k -append -- a"},
			[]string{"-initrd", "-drive", "hyperv-testdev", "-D"}},
		{"old QEMU", Config{Program: old, Memory: mib, Kernel: "/k"}, []string{"-device vmbus-bridge"}, []string{"hv-balloon"}},
		{"no balloon", Config{Program: all, Memory: mib, Kernel: "/k", NoBalloon: true}, []string{"-device vmbus-bridge"}, []string{"hv-balloon"}},
		{"disk", Config{Program: old, Memory: mib, CPUs: 4, Firmware: "/f", Disk: "/a,b", Flags: Passthrough},
			[]string{"-smp 4", "kvm=off,hv-passthrough", "-bios /f", "format=vhdx,snapshot=on,file=/a,,b"}, []string{"-kernel"}},
		{"test", Config{Program: all, Memory: mib, Kernel: "/k", TestDevice: true, Trace: []string{"vmbus_*"}, TraceFile: "/t", Extra: []string{"-x"}},
			[]string{"-device hyperv-testdev", "-trace vmbus_* -D /t", "-kernel /k -x"}, nil},
	} {
		args, err := tt.c.Args()
		text := strings.Join(args, " ")
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		for _, want := range tt.with {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %s", tt.name, want, text)
			}
		}
		for _, no := range tt.lack {
			if strings.Contains(text, no) {
				t.Errorf("%s: %q in %s", tt.name, no, text)
			}
		}
	}
	for _, c := range []Config{
		{Program: all, Memory: mib}, {Program: all, Memory: mib, Kernel: "/k", Disk: "/d", Firmware: "/f"}, {Program: all, Memory: mib, Disk: "/d"},
		{Program: all, Memory: mib, Kernel: "/k", Firmware: "/f"}, {Program: all, Memory: 5, Kernel: "/k"}, {Program: all, Kernel: "/k"},
	} {
		if args, err := c.Args(); err == nil {
			t.Errorf("%+v gives %q", c, args)
		}
	}
}

func TestParseTrace(t *testing.T) {
	log := "vmbus_recv_message type 14 size 40\nwarning: x\nvmbus_signal_event \nvmbus_terminate_offers\nhv_balloon_state_change -> S_CLOSED\nvmbus_post_msg type 1"
	want := []TraceLine{
		{"vmbus_recv_message", "type 14 size 40"}, {"vmbus_signal_event", ""}, {"vmbus_terminate_offers", ""}, {"hv_balloon_state_change", "-> S_CLOSED"},
	}
	if got := ParseTrace([]byte(log)); !slices.Equal(got, want) {
		t.Errorf("ParseTrace = %q", got)
	}
}

// fakeQEMU answers each command with the next text.
func fakeQEMU(t *testing.T, answers ...string) (*qmp, chan Event) {
	t.Helper()
	ours, theirs := net.Pipe()
	events := make(chan Event, 10)
	go func() {
		defer theirs.Close()
		fmt.Fprint(theirs, `{"QMP": {"version": {}, "capabilities": []}}`+"\n")
		commands := bufio.NewScanner(theirs)
		for _, a := range answers {
			if !commands.Scan() || !json.Valid(commands.Bytes()) {
				return
			}
			fmt.Fprint(theirs, a)
		}
		for commands.Scan() { // from here on, silence
		}
	}()
	q := newQMP(ours, func(e Event) { events <- e })
	t.Cleanup(func() { ours.Close() })
	return q, events
}

// TestQMPLongLine is not taken for QEMU's end.
func TestQMPLongLine(t *testing.T) {
	q, _ := fakeQEMU(t, strings.Repeat("x", qmpLine+1))
	if _, err := q.run(t.Context(), "qmp_capabilities", nil); err == nil || errors.Is(err, errQMPEnded) {
		t.Errorf("a line of %d bytes: %v", qmpLine+1, err)
	}
}

func TestQMP(t *testing.T) {
	q, events := fakeQEMU(t,
		`{"return": {}}`+"\n",
		`{"event": "SHUTDOWN", "data": {"guest": true}}`+"\n\n"+`garbage`+"\n"+`{"return": {"actual": 5}}`+"\n",
		`{"error": {"class": "GenericError", "desc": "no such thing"}}`+"\n",
	)
	if _, err := q.run(t.Context(), "qmp_capabilities", nil); err != nil {
		t.Fatal(err)
	}
	if b, err := q.run(t.Context(), "query-balloon", map[string]int{"x": 1}); err != nil || string(b) != `{"actual": 5}` {
		t.Errorf("query-balloon: %s, %v", b, err)
	}
	if e := <-events; e.Name != "SHUTDOWN" || string(e.Data) != `{"guest": true}` {
		t.Errorf("event %+v", e)
	}
	if _, err := q.run(t.Context(), "nothing", nil); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("a refused command: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := q.run(ctx, "silence", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	if _, err := q.run(t.Context(), "late", nil); !errors.Is(err, errQMPEnded) {
		t.Errorf("after a lost answer: %v", err)
	}
}

// TestQMPEnds has a QEMU that ends instead of answering.
func TestQMPEnds(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() {
		bufio.NewScanner(theirs).Scan()
		theirs.Close()
	}()
	q := newQMP(ours, func(Event) {})
	if _, err := q.run(t.Context(), "quit", nil); !errors.Is(err, errQMPEnded) {
		t.Errorf("got %v", err)
	}
}

func TestEvents(t *testing.T) {
	v := &VM{wake: make(chan struct{})}
	for _, line := range []string{
		`{"event": "GUEST_PANICKED", "data": {"action": "poweroff", "info": {"type": "hyper-v", "arg1": 1213616979, "arg2": 3, "arg3": 0, "arg4": 0, "arg5": 18446744073709551615}}}`,
		`{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-panic"}}`,
		`{"event": "SHUTDOWN", "data": 7}`, `{"event": "GUEST_PANICKED", "data": {"info": {"type": "s390"}}}`,
	} {
		_, more := v.Events()
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		v.event(e)
		<-more
	}
	if v.exit != (Exit{"guest-panic", true, [5]uint64{1213616979, 3, 0, 0, 1<<64 - 1}}) {
		t.Errorf("exit %+v", v.exit)
	}
	for range 2 * maxEvents {
		v.event(Event{Name: "HV_BALLOON_STATUS_REPORT"})
	}
	if events, _ := v.Events(); len(events) != maxEvents {
		t.Errorf("%d events kept", len(events))
	}
}

// TestStartFails has a QEMU that refuses its arguments, and one that does not start.
func TestStartFails(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no shell, as in the emulated machine: ", err)
	}
	script := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho one >&2\necho no such flag >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := Config{Program: &Program{Command: []string{script}}, Memory: mib, Kernel: "/k"}
	if _, err := Start(t.Context(), c, nil, nil); err == nil || err.Error() != "QEMU: no such flag" {
		t.Errorf("refused: %v", err)
	}
	c.Program = &Program{Command: []string{"/nonexistent"}}
	if _, err := Start(t.Context(), c, nil, nil); err == nil || !strings.HasPrefix(err.Error(), "start QEMU:") {
		t.Errorf("not there: %v", err)
	}
}

func FuzzParseTrace(f *testing.F) {
	f.Add([]byte("vmbus_signal_event \nvmbus_post_msg type 1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, l := range ParseTrace(b) {
			if strings.ContainsAny(l.Event+l.Text, "\n") {
				t.Errorf("%+v", l)
			}
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add("GUEST_PANICKED", []byte(`{"info": {"type": "hyper-v", "arg1": 1}}`))
	f.Add("SHUTDOWN", []byte(`{"reason": 5}`))
	f.Fuzz(func(_ *testing.T, name string, data []byte) {
		v := &VM{wake: make(chan struct{})}
		v.event(Event{name, data})
	})
}
