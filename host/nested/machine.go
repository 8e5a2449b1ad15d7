// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nested

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	startTimeout = 2 * time.Minute // from QEMU's start to ready; 4 s on an idle machine of two cores
	haltTimeout  = 30 * time.Second
)

// Config says what the machine is like. The zero value works.
type Config struct {
	CPUs      int     // emulated processors; default 1
	MemoryMiB int     // RAM of the machine, all that its programs use included; default 2048
	Shares    []Share // folders that exist inside too
	// Forward are TCP addresses outside, IPv4: a connection to one of them
	// reaches 127.0.0.1 and the same port inside.
	Forward []netip.AddrPort
	// Init is the static program that is PID 1 inside and must call Init when
	// IsInit; default: the running program.
	Init string
	// Progress gets a line for each step that may take over a second; may be nil.
	Progress func(line string)
}

// Command is one program to run inside.
type Command struct {
	Path string   // absolute
	Args []string // without the program's name
	Dir  string   // working directory; default "/"
	Env  []string // "k=v"; default: the caller's

	Stdin          io.Reader        `json:"-"` // nil: empty
	Stdout, Stderr io.Writer        `json:"-"` // nil: thrown away
	Signals        <-chan os.Signal `json:"-"` // each is sent to the program; may be nil
}

// Machine is an emulated machine that is up. Its methods must not be called
// from several goroutines at once; to end a Run, cancel its context.
type Machine struct {
	q      *qemu
	frames *frameConn
	kernel string
	log    func(string)
	close  sync.Once
	broken error // set once the stream is of no more use
}

// Start starts a machine and returns when it can run programs. The first start
// downloads the kernel. Errors are one line and say what to do.
func Start(ctx context.Context, cfg Config) (*Machine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e, err := getEmulator(ctx, cfg.Progress)
	if err != nil {
		return nil, err
	}
	k, err := getKernel(ctx, cfg.Progress)
	if err != nil {
		return nil, fmt.Errorf("kernel for the emulated machine: %w", err)
	}
	initramfs, err := newInitramfs(cfg.Init, k.modules)
	if err != nil {
		return nil, err
	}
	defer initramfs.Close()
	m, err := startOnce(ctx, cfg, e, k, initramfs)
	if errors.Is(err, errQEMUEnded) && strings.Contains(err.Error(), "Kernel panic") {
		// QEMU's emulation of several processors (7.2) loses a race with a kernel
		// that changes its own code, as it does most at its start: see kvm.Pin.
		cfg.Progress(fmt.Sprintf("%v; starting it once more", err))
		m, err = startOnce(ctx, cfg, e, k, initramfs)
	}
	return m, err
}

func startOnce(ctx context.Context, cfg Config, e *emulator, k *kernel, initramfs *os.File) (*Machine, error) {
	q, err := startQEMU(cfg, e, k, initramfs)
	if err != nil {
		return nil, err
	}
	m := &Machine{q: q, frames: newFrameConn(q.conn), log: cfg.Progress}
	go m.beat()
	if err := m.handshake(ctx, cfg); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// beatPeriod is how long a lost interrupt can hold the emulated machine up.
const beatPeriod = 10 * time.Millisecond

// beat sends a frame that does nothing again and again. QEMU's emulation of SVM
// loses an interrupt now and then (docs/decisions/0013-newer-qemu.md); it stays
// pending in the interrupt controller, and any other one brings it back. An idle
// machine that lost its timer would wait for ever.
func (m *Machine) beat() {
	t := time.NewTicker(beatPeriod)
	defer t.Stop()
	for {
		select {
		case <-m.q.dead:
			return
		case <-t.C:
			if m.frames.write(frameBeat, nil) != nil {
				return
			}
		}
	}
}

func (cfg Config) withDefaults() (Config, error) {
	if cfg.CPUs == 0 {
		cfg.CPUs = 1 // more are emulated by threads that race: docs/decisions/0013-newer-qemu.md
	}
	if cfg.MemoryMiB == 0 {
		cfg.MemoryMiB = 2048
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if cfg.Init == "" {
		self, err := os.Executable()
		if err != nil {
			return cfg, err
		}
		cfg.Init = self
	}
	for _, f := range cfg.Forward {
		if !f.Addr().Is4() || f.Port() == 0 {
			return cfg, fmt.Errorf("cannot forward %v: an IPv4 address and a port are needed", f)
		}
	}
	var err error
	cfg.Shares, err = cleanShares(cfg.Shares)
	return cfg, err
}

// handshake sends the setup and waits for PID 1.
func (m *Machine) handshake(ctx context.Context, cfg Config) error {
	defer m.watch(ctx, startTimeout)()
	s := setup{Shares: cfg.Shares}
	for _, f := range cfg.Forward {
		s.Ports = append(s.Ports, f.Port())
	}
	s.Hostname, _ = os.Hostname() // a nicety
	if err := m.frames.writeJSON(frameSetup, s); err != nil {
		return m.fail(ctx, err)
	}
	payload, err := m.await(frameReady)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
			return fmt.Errorf("the emulated machine did not come up within %v; it last said: %q", startTimeout, m.q.console.lastWords())
		}
		return m.fail(ctx, err)
	}
	var r ready
	if err := json.Unmarshal(payload, &r); err != nil {
		return err
	}
	if r.Err != "" {
		return fmt.Errorf("the emulated machine: %s", r.Err)
	}
	m.kernel = r.Kernel
	return nil
}

// await reads until a frame of the kind comes; before the first program runs
// there are only lines for the log.
func (m *Machine) await(kind byte) ([]byte, error) {
	for {
		k, payload, err := m.frames.read()
		switch {
		case err != nil:
			return nil, err
		case k == kind:
			return payload, nil
		case k == frameLog:
			m.log(string(payload))
		}
	}
}

// watch ends reads and writes when ctx ends or the time is over (0: no limit);
// the function that it returns ends the watch.
func (m *Machine) watch(ctx context.Context, limit time.Duration) (stop func()) {
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	_ = m.q.conn.SetDeadline(deadline)
	stopAfter := context.AfterFunc(ctx, func() { _ = m.q.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stopAfter() }
}

// fail marks the stream as broken and explains why.
func (m *Machine) fail(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, net.ErrClosed):
		err = errors.New("the emulated machine was closed")
	default:
		err = m.q.explain(err)
	}
	m.broken = err
	return err
}

// Kernel returns the release of the kernel inside.
func (m *Machine) Kernel() string { return m.kernel }

// Run runs one program to its end and returns its exit status, 128+n when
// signal n ended it. Whatever the program left running is killed, and what it
// wrote to shared folders is on the outside when Run returns. An error means that
// the program could not be started or that the machine died.
func (m *Machine) Run(ctx context.Context, c Command) (status int, err error) {
	if m.broken != nil {
		return 0, m.broken
	}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	if c.Dir == "" {
		c.Dir = "/"
	}
	defer m.watch(ctx, 0)()
	if err := m.frames.writeJSON(frameRun, run{c, time.Now().UnixNano()}); err != nil {
		return 0, m.fail(ctx, err)
	}
	over := make(chan struct{})
	defer close(over)
	credit := newCredit(stdinWindow)
	defer credit.close()
	go m.sendStdin(c.Stdin, credit)
	go m.sendSignals(c.Signals, over)
	return m.receive(ctx, c, credit)
}

// receive passes output on until the program ends.
func (m *Machine) receive(ctx context.Context, c Command, credit *credit) (int, error) {
	for {
		kind, payload, err := m.frames.read()
		if err != nil {
			return 0, m.fail(ctx, err)
		}
		switch kind {
		case frameStdout:
			err = writeTo(c.Stdout, payload)
		case frameStderr:
			err = writeTo(c.Stderr, payload)
		case frameStdinTaken:
			var n uint32
			if n, err = decodeUint32(payload); err == nil {
				credit.add(int(n))
			}
		case frameLog:
			m.log(string(payload))
		case frameExit:
			var e exit
			if err := json.Unmarshal(payload, &e); err != nil {
				return 0, m.fail(ctx, err)
			}
			if e.Err != "" {
				return 0, errors.New(e.Err)
			}
			return e.Status, nil
		}
		if err != nil {
			m.broken = err // the program still runs: nothing more can be run after it
			return 0, err
		}
	}
}

func writeTo(w io.Writer, b []byte) error {
	if w == nil {
		return nil
	}
	_, err := w.Write(b)
	return err
}

// sendStdin passes input on, never more than the inside has room for. It may
// outlive Run, waiting in Read: what it reads then is lost, as it is with a pipe
// to a process that has ended.
func (m *Machine) sendStdin(r io.Reader, credit *credit) {
	if r != nil {
		buf := make([]byte, stdinChunk)
		for {
			n := credit.take(len(buf))
			if n == 0 {
				return
			}
			got, err := r.Read(buf[:n])
			credit.add(n - got)
			if got > 0 && (credit.isClosed() || m.frames.write(frameStdin, buf[:got]) != nil) {
				return
			}
			if err != nil {
				break
			}
		}
	}
	if !credit.isClosed() {
		_ = m.frames.write(frameStdin, nil) // an error shows in receive
	}
}

// sendSignals passes signals on until the program has ended.
func (m *Machine) sendSignals(signals <-chan os.Signal, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case s, ok := <-signals:
			if !ok {
				return
			}
			if n, ok := signalNumber(s); ok && m.frames.writeUint32(frameSignal, n) != nil {
				return
			}
		}
	}
}

// Close ends the machine: cleanly if it still answers. QEMU is gone when Close
// returns.
func (m *Machine) Close() {
	m.close.Do(func() {
		if m.broken == nil && m.kernel != "" {
			stop := m.watch(context.Background(), haltTimeout)
			if m.frames.write(frameHalt, nil) == nil {
				_, _ = m.await(frameHalted) // with or without it, QEMU ends now
			}
			stop()
		}
		m.q.kill()
	})
}

// credit counts the bytes that may still be sent.
type credit struct {
	mu     sync.Mutex // guards n and closed
	cond   *sync.Cond
	n      int
	closed bool
}

func newCredit(n int) *credit {
	c := &credit{n: n}
	c.cond = sync.NewCond(&c.mu)
	return c
}

// take waits for room and returns at most max bytes of it; 0 when closed.
func (c *credit) take(limit int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.n <= 0 && !c.closed {
		c.cond.Wait()
	}
	if c.closed {
		return 0
	}
	n := min(c.n, limit)
	c.n -= n
	return n
}

func (c *credit) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n = min(c.n+n, stdinWindow)
	c.cond.Broadcast()
}

func (c *credit) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.cond.Broadcast()
}

func (c *credit) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}
