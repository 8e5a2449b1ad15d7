// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package qemu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/hvgo/hvgo/internal/socketpair"
)

// VM is a running QEMU.
type VM struct {
	qmp     *qmp
	process *os.Process
	stdin   io.WriteCloser // COM1's input
	dead    chan struct{}  // closed when QEMU is gone
	err     error          // how; read it after dead
	said    *lines         // what QEMU itself said

	mu     sync.Mutex // guards what is below
	exit   Exit
	events []Event
	wake   chan struct{} // closed and replaced when there is a new event
}

// Exit tells how a machine ended.
type Exit struct {
	// Reason is QEMU's word: "guest-shutdown", "guest-reset", "guest-panic",
	// "host-qmp-quit" and others.
	Reason string
	// Crashed tells that the guest reported a crash by Hyper-V's MSRs.
	Crashed bool
	Params  [5]uint64 // of that report: P0 to P4
}

// Start starts QEMU. The guest's console goes to console; QEMU's own words go to
// errs. QEMU is killed when ctx ends, or this process.
func Start(ctx context.Context, c Config, console, errs io.Writer) (*VM, error) {
	args, err := c.Args()
	if err != nil {
		return nil, err
	}
	ours, theirs, err := socketpair.New("qmp")
	if err != nil {
		return nil, err
	}
	v := &VM{dead: make(chan struct{}), wake: make(chan struct{}), said: &lines{next: errs}}
	command := append(append([]string(nil), c.Program.Command...), args...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.ExtraFiles = []*os.File{theirs} // qmpFD
	cmd.Stdout, cmd.Stderr = console, v.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if v.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, errors.Join(err, ours.Close(), theirs.Close())
	}
	started := make(chan error)
	go func() {
		// Pdeathsig goes off when the thread that forked ends, so that thread
		// stays with this goroutine until QEMU is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			v.err = cmd.Wait()
			close(v.dead)
		}
	}()
	err = <-started
	theirs.Close() // QEMU has its own, whose end we are to see
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	v.process = cmd.Process
	v.qmp = newQMP(ours, v.event)
	// QEMU sends no events before the first, and the guest stands until the second.
	for _, name := range []string{"qmp_capabilities", "cont"} {
		if _, err := v.Command(ctx, name, nil); err != nil {
			v.Kill()
			if _, e := v.Wait(); e != nil && errors.Is(err, errQMPEnded) {
				err = e // what QEMU said of its arguments
			}
			return nil, err
		}
	}
	return v, nil
}

// Input is the way to the guest's COM1.
func (v *VM) Input() io.Writer { return v.stdin }

// Command runs a command of QEMU's control protocol, such as "balloon".
func (v *VM) Command(ctx context.Context, name string, args any) (json.RawMessage, error) {
	return v.qmp.run(ctx, name, args)
}

// event takes note of what QEMU tells.
func (v *VM) event(e Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e.Name {
	case "SHUTDOWN":
		var d struct {
			Reason string `json:"reason"`
		}
		if json.Unmarshal(e.Data, &d) == nil {
			v.exit.Reason = d.Reason
		}
	case "GUEST_PANICKED", "GUEST_CRASHLOADED":
		var d struct {
			Info struct {
				Type string `json:"type"`
				Arg1 uint64 `json:"arg1"`
				Arg2 uint64 `json:"arg2"`
				Arg3 uint64 `json:"arg3"`
				Arg4 uint64 `json:"arg4"`
				Arg5 uint64 `json:"arg5"`
			} `json:"info"`
		}
		if json.Unmarshal(e.Data, &d) == nil && d.Info.Type == "hyper-v" {
			i := d.Info
			v.exit.Crashed, v.exit.Params = true, [5]uint64{i.Arg1, i.Arg2, i.Arg3, i.Arg4, i.Arg5}
		}
	}
	if len(v.events) < maxEvents {
		v.events = append(v.events, e)
	}
	close(v.wake)
	v.wake = make(chan struct{})
}

// maxEvents bounds what is kept for Events: status reports come once a second.
const maxEvents = 1000

// Events returns the events so far, and a channel that is closed by the next one.
func (v *VM) Events() ([]Event, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]Event(nil), v.events...), v.wake
}

// Done is closed when QEMU has ended.
func (v *VM) Done() <-chan struct{} { return v.dead }

// Wait returns when QEMU has ended. The error is QEMU's own end, not the guest's.
func (v *VM) Wait() (Exit, error) {
	<-v.dead
	<-v.qmp.ended // all events have been read
	_ = v.qmp.w.Close()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil {
		if said := v.said.last(); said != "" {
			return v.exit, fmt.Errorf("QEMU: %s", said)
		}
		return v.exit, fmt.Errorf("QEMU ended: %w", v.err)
	}
	return v.exit, nil
}

// Kill ends QEMU at once.
func (v *VM) Kill() { _ = v.process.Kill() }

// lines passes text on and remembers its last line.
type lines struct {
	mu   sync.Mutex // guards b
	b    []byte
	next io.Writer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.b = append(l.b, p...)
	l.b = l.b[max(0, len(l.b)-4096):]
	l.mu.Unlock()
	if l.next == nil {
		return len(p), nil
	}
	return l.next.Write(p)
}

func (l *lines) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSpace(string(l.b))
	return text[bytes.LastIndexByte([]byte(text), '\n')+1:]
}
