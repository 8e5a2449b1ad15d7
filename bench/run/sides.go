// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/bench"
	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/usernet"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/image/vhdx"
)

// Names of the sides.
const (
	hvgoSide  = "hvgo"
	linuxSide = "Linux"
)

var sides = []string{hvgoSide, linuxSide}

// tuned is Linux's command line. Neither side protects itself from its processor, or clears
// memory that it hands out anew to its own; what Linux says, checks and waits for at
// its start is left out as far as it can be.
const tuned = "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off init_on_alloc=0 audit=0 apparmor=0 " +
	"random.trust_cpu=on rcupdate.rcu_expedited=1 no_timer_check tsc=reliable"

// Times.
const (
	bootAge = 3 * time.Minute  // a guest that does not answer until then does not come up
	stopAge = 30 * time.Second // for a guest that was asked to end
	linger  = 30 * time.Millisecond
)

// vm is a guest that serves.
type vm struct {
	side    string
	g       *guest.Guest
	net     *usernet.Network
	ports   map[uint16]netip.AddrPort // of the guest: where they are here
	console console
	begin   time.Time // Run was called
	first   time.Duration
	ended   chan struct{} // closed behind exit and err
	exit    machine.Exit
	err     error
	memory  int                // MiB
	detail  map[string]float64 // what the last probe's counts consist of, per unit
}

// boot starts a side's guest and waits for its first answer. memory is in MiB.
func (o *options) boot(ctx context.Context, side string, memory int) (_ *vm, err error) {
	v := &vm{side: side, memory: memory, ports: map[uint16]netip.AddrPort{}, ended: make(chan struct{})}
	quiet := slog.New(slog.DiscardHandler)
	if v.net, err = usernet.New(usernet.Options{Hostname: "bench", Log: quiet}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.close())
		}
	}()
	card, err := netvsp.New(netvsp.Options{Network: v.net, Queues: o.cpus, Uncut: true})
	if err != nil {
		return nil, err
	}
	v.net.Plug(card)
	for _, port := range []uint16{bench.HTTPPort, bench.StreamPort, bench.TLSPort} {
		p, err := v.net.Publish(netip.MustParseAddrPort("127.0.0.1:0"), port)
		if err != nil {
			return nil, err
		}
		v.ports[port] = p.Addr()
	}
	cfg := guest.Config{Machine: machine.Config{
		Memory: uint64(memory) << 20, VCPUs: o.cpus, HugePages: true, Console: &v.console, Lenient: true, Log: quiet,
	}}
	cfg.Machine.Devices = append(cfg.Machine.Devices, card)
	if err := o.load(v, &cfg); err != nil {
		for _, d := range cfg.Disks {
			err = errors.Join(err, d.Close())
		}
		return nil, err
	}
	if v.g, err = guest.New(cfg); err != nil {
		return nil, err
	}
	v.begin = time.Now()
	go func() {
		defer close(v.ended)
		v.exit, v.err = v.g.Run(context.Background()) // close ends it
	}()
	if err := v.awaitAnswer(ctx); err != nil {
		return nil, err // how it ended is close's to say
	}
	return v, nil
}

// load puts what the side boots from into the configuration, and the data disk.
func (o *options) load(v *vm, cfg *guest.Config) (err error) {
	m := &cfg.Machine
	switch v.side {
	case hvgoSide:
		d, err := vhdx.OpenFile(o.file(imageFile), true)
		if err != nil {
			return err
		}
		cfg.Disks = append(cfg.Disks, guest.VHDX(d))
		m.LoadOptions = bench.DiskEnv + "=/dev/sdb"
	case linuxSide:
		if m.Image, err = os.ReadFile(o.file(kernelFile)); err != nil {
			return err
		}
		if m.Initrd, err = os.ReadFile(o.file(initrdFile)); err != nil {
			return err
		}
		m.LoadOptions = tuned + " " + bench.InitEnv + "=1 " + bench.DiskEnv + "=/dev/sda"
	}
	// A disk in memory: what is measured is the way to it.
	fd, err := unix.MemfdCreate("hvgo-bench-disk", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("memory for the data disk: %w", err)
	}
	f := os.NewFile(uintptr(fd), "data disk")
	if err := fill(f, int64(o.diskMiB)<<20); err != nil {
		return errors.Join(err, f.Close())
	}
	d, err := guest.Raw(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	cfg.Disks = append(cfg.Disks, fileDisk{d, f})
	return nil
}

// fileDisk closes its file too.
type fileDisk struct {
	guest.Block
	f *os.File
}

func (d fileDisk) Close() error { return errors.Join(d.Block.Close(), d.f.Close()) }

// fill writes the whole file, so that no read meets a hole.
func fill(f *os.File, size int64) error {
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(i>>8) ^ byte(i)
	}
	for at := int64(0); at < size; at += int64(len(b)) {
		if _, err := f.WriteAt(b[:min(size-at, int64(len(b)))], at); err != nil {
			return err
		}
	}
	return nil
}

// awaitAnswer waits for the first byte by HTTP.
func (v *vm) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bootAge, fmt.Errorf("no answer in %v", bootAge))
	defer cancel()
	ctx, stop := v.while(ctx)
	defer stop(nil)
	for {
		_, err := v.get(ctx, bench.SmallPath, nil)
		if err == nil {
			v.first = time.Since(v.begin)
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

var errEnded = errors.New("the guest has ended")

// while is a context that ends with the guest, too.
func (v *vm) while(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-v.ended:
			cancel(errEnded)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// address is where a port of the guest's is.
func (v *vm) address(port uint16) string { return v.ports[port].String() }

// get asks the program for a path and reads JSON into to, if it is not nil.
func (v *vm) get(ctx context.Context, path string, to any) (int64, error) {
	return v.ask(ctx, http.MethodGet, path, nil, to)
}

func (v *vm) ask(ctx context.Context, method, path string, body io.Reader, to any) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+v.address(bench.HTTPPort)+path, body)
	if err != nil {
		return 0, err
	}
	r.Close = true // nothing is left open while something else is measured
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	if to == nil {
		return io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	}
	return 0, json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(to)
}

// do has the program do a job.
func (v *vm) do(ctx context.Context, j bench.Job) (r bench.Result, err error) {
	b, err := json.Marshal(j)
	if err != nil {
		return r, err
	}
	if _, err := v.ask(ctx, http.MethodPost, bench.JobPath, strings.NewReader(string(b)), &r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

// counts are what the guest cost so far, or meanwhile.
type counts struct {
	exits      uint64 // all times that it left, as the kernel counts
	hypercalls uint64 // to the host, for VMBus
	// detail is the kernel's counters, and the host's: "host: HLT", "port COM1" and so on.
	detail map[string]uint64
}

func (v *vm) counts() (counts, error) {
	d, err := v.g.Counters()
	if err != nil {
		return counts{}, err
	}
	n, ok := d["exits"]
	if !ok {
		return counts{}, errors.New("this kernel does not count exits (KVM_CAP_BINARY_STATS_FD)")
	}
	f := v.g.Machine.Figures()
	for reason, n := range f.VM.Exits {
		d["host: "+reason] = n
	}
	for name, n := range f.VM.Ports {
		d["port "+name] = n
	}
	h := f.Hyperv
	d["HvCallPostMessage"], d["HvCallSignalEvent"], d["interrupts of VMBus"] = h.PostMessage, h.SignalEvent, h.Interrupts
	return counts{n, h.PostMessage + h.SignalEvent + h.Other, d}, nil
}

// cost runs f and returns what that cost the guest.
func (v *vm) cost(f func() error) (c counts, err error) {
	time.Sleep(linger) // what came before has come to rest
	before, err := v.counts()
	if err != nil {
		return c, err
	}
	if err := f(); err != nil {
		return c, err
	}
	after, err := v.counts()
	if err != nil {
		return c, err
	}
	c = counts{after.exits - before.exits, after.hypercalls - before.hypercalls, map[string]uint64{}}
	for what, n := range after.detail {
		if more := n - before.detail[what]; more > 0 && more < 1<<63 { // some are no counters, and fall
			c.detail[what] = more
		}
	}
	return c, nil
}

// close ends the guest and frees all.
func (v *vm) close() error {
	var errs []error
	if v.g != nil {
		if !v.begin.IsZero() {
			v.g.Stop()
			select {
			case <-v.ended:
			case <-time.After(stopAge):
				errs = append(errs, errors.New("the guest does not stop"))
			}
			errs = append(errs, v.verdict())
		}
		errs = append(errs, v.g.Close())
	}
	errs = append(errs, v.net.Close())
	return errors.Join(errs...)
}

// verdict is an error unless the guest ran until it was stopped, having served.
func (v *vm) verdict() error {
	select {
	case <-v.ended:
	default:
		return nil // told already
	}
	switch {
	case v.err != nil:
		return v.err
	case v.exit.Kind != vmm.Stopped:
		return fmt.Errorf("the guest ended by itself: %v%s", v.exit.Kind, v.console.tail())
	case v.first == 0:
		return errors.New("the guest was stopped" + v.console.tail())
	}
	return nil
}

// console keeps the end of what a guest says.
type console struct {
	mu   sync.Mutex
	text []byte
}

const consoleBytes = 4096

// Write implements io.Writer.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, b...)
	c.text = c.text[max(0, len(c.text)-consoleBytes):]
	return len(b), nil
}

// tail is the last lines in words for an error's end.
func (c *console) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := strings.FieldsFunc(string(c.text), func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 {
		return "; it said nothing"
	}
	return "; it said last: " + strings.Join(lines[max(0, len(lines)-4):], " / ")
}
