// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package soak runs test/vm/guests/soak and judges what it reports: as a guest, or as a
// process of the Linux that the host runs on, to compare. It is the other side of the
// guest's HTTP connections too (client.go).
//
// # What counts as a stall
//
// The guest reports each time that a watcher, which asks to wake every 10 ms, did not run
// for 200 ms or more, with both times of its monotonic clock. The host's processor is not
// ours alone, and may be emulated: a whole machine may stand still for reasons outside of
// it. So this side has a watcher of its own, a thread that asks to wake every 10 ms, and
// keeps the times of more than 50 ms in which it did not (watch.go). From a gap of the
// guest's is subtracted what of it lies in such times, each of them extended by a quarter
// of its length on both sides, at most 50 ms; what remains must be below Limit, one second.
// A gap is never left out as a whole: a host that stood still for 200 ms excuses 300 ms,
// not a stall that it touches. What is not excused either is a host that runs on, but
// slowly: command run tells how long the emulated machine had to wait for a processor.
//
// The guest's clock is related to the host's by its lines "clock NS": each arrives some
// time after it was written, so that of the last ones the least difference is right
// within the least delay. The delay makes gaps seem later than they were by that much,
// some milliseconds, which the extension covers.
//
// A guest from which no line comes for Config.Silence has hung: it is asked by an NMI
// where it is, and the console then holds a dump of all processors.
package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/usernet"
	"github.com/hvgo/hvgo/host/vmm"
)

// Limit is how long nothing may run in the guest, but for the time in which nothing ran
// in the host, unless Config says otherwise.
const Limit = time.Second

// Config is a run.
type Config struct {
	Image   string // kernel of test/vm/guests/soak, made by hvgo build --format elf
	Program string // if not empty: the same program, to run as a process in its place
	Args    []string
	CPUs    int
	Memory  uint64        // bytes
	Disk    int64         // bytes of the raw disk; 64 MiB or more
	Limit   time.Duration // 0 is Limit
	Silence time.Duration
	Console io.Writer // a copy of all that is written
	Log     *slog.Logger
}

// Result is what a run found. Its error is nil if nothing is wrong.
type Result struct {
	Lines    []string // of the report, but clock and gap
	Failures []string
	Gaps     []Gap         // in the order of their reports
	Host     []span        // when this side did not run
	HostGap  time.Duration // the longest of these
	Requests int64         // that the client made
	Cut      int64         // of these, those that it broke off
	Idle     float64       // part of the time in which the host's processors had nothing to do
	done     bool
}

// Run does the run. The error is of the run itself.
func Run(ctx context.Context, c Config) (*Result, error) {
	if c.Silence == 0 {
		c.Silence = 2 * time.Minute
	}
	if c.Limit == 0 {
		c.Limit = Limit
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	before := len(openFiles())
	goroutines := runtime.NumGoroutine()
	r := newReport(c.Console)
	host := startWatch(r.hostGap)
	busy := readCPU()
	err := errors.Join(c.run(ctx, r), r.flush())
	res := r.result()
	res.Host = host.end()
	res.Idle = readCPU().idleSince(busy)
	for _, s := range res.Host {
		res.HostGap = max(res.HostGap, s.length())
	}
	res.judge(c.Limit)
	res.left("descriptors", before, func() int { return len(openFiles()) })
	res.left("goroutines", goroutines, runtime.NumGoroutine)
	return res, err
}

// left fails the run if this side has more of something than before, and does not get
// rid of it.
func (r *Result) left(name string, before int, now func() int) {
	const patience = 10 * time.Second
	for end := time.Now().Add(patience); now() > before; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			r.Failures = append(r.Failures, fmt.Sprintf("the host's side has %d %s, and %d before", now(), name, before))
			return
		}
	}
}

func openFiles() []os.DirEntry {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	return list
}

func (c *Config) run(ctx context.Context, r *report) error {
	if c.Program != "" {
		return c.runProcess(ctx, r)
	}
	return c.runGuest(ctx, r)
}

// guestPort is where the guest's server listens.
const guestPort = 8080

func (c *Config) runGuest(ctx context.Context, r *report) (err error) {
	image, err := os.ReadFile(c.Image)
	if err != nil {
		return err
	}
	network, err := usernet.New(usernet.Options{Log: c.Log, Hostname: "soak", ListenWait: 2 * time.Minute})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, network.Close()) }()
	card, err := netvsp.New(netvsp.Options{Network: network})
	if err != nil {
		return err
	}
	network.Plug(card)
	port, err := network.Publish(netip.MustParseAddrPort("127.0.0.1:0"), guestPort)
	if err != nil {
		return err
	}
	args := append([]string{"-disk", "/dev/sda", "-listen", fmt.Sprint(":", guestPort)}, c.Args...)
	cfg := guest.Config{Disks: []guest.Block{newMemoryDisk(c.Disk)}}
	m := &cfg.Machine
	m.Image, m.LoadOptions = image, "-- "+strings.Join(args, " ")
	// Pages that the host finds one by one would hold the guest up for seconds in all.
	m.Memory, m.VCPUs, m.Console, m.Log, m.HugePages = c.Memory, c.CPUs, r, c.Log, true
	m.Devices = append(m.Devices, card)
	g, err := guest.New(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	defer c.attend(r, "http://"+port.Addr().String(), func() { ask(g, c.Log) })()
	exit, err := g.Run(ctx)
	if err == nil && exit.Kind != vmm.Shutdown {
		r.fail(fmt.Sprintf("the guest ended with %v", exit))
	}
	return err
}

// ask makes a guest tell where it is: an NMI on its first processor is a crash.
func ask(g *guest.Guest, log *slog.Logger) {
	if err := g.NMI(0); err != nil {
		log.Error("no NMI", "error", err)
		g.Stop()
	}
	const patience = 20 * time.Second // for the dump
	time.AfterFunc(patience, g.Stop)
}

func (c *Config) runProcess(ctx context.Context, r *report) error {
	f, err := os.CreateTemp("", "soak-disk")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(f.Truncate(c.Disk), f.Close()); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		return err
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	p := exec.CommandContext(ctx, c.Program, append([]string{"-disk", f.Name(), "-listen", at}, c.Args...)...)
	p.Env = append(os.Environ(), fmt.Sprint("GOMAXPROCS=", c.CPUs))
	p.Stdout, p.Stderr = r, r
	defer c.attend(r, "http://"+at, func() { _ = p.Process.Kill() })()
	if err := p.Run(); err != nil {
		r.fail(err.Error())
	}
	return nil
}

// attend is the guest's client while it runs, and looks whether it says something; ask
// is called once it does not. The function that it returns ends both.
func (c *Config) attend(r *report, url string, ask func()) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { (&client{url: url, report: r}).run(ctx) })
	wg.Go(func() {
		for look := time.NewTicker(time.Second); ; {
			select {
			case <-ctx.Done():
				look.Stop()
				return
			case <-look.C:
			}
			if err := r.flush(); err != nil {
				r.fail(fmt.Sprint("console: ", err))
			}
			if since := r.silent(); since > c.Silence {
				r.fail(fmt.Sprintf("the guest has said nothing for %v", since.Round(time.Second)))
				ask()
				r.heardNow() // asked once in this time
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}
