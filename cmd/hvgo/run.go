// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hvgo/hvgo/host/hyperv"
	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/nested"
)

func newRun() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] {IMAGE.vhdx | KERNEL.elf | --kernel FILE}",
		Short: "Boot an image or a kernel in a virtual machine on this computer",
		Long: `Boot a VHDX in a virtual machine that looks like Hyper-V's Generation 2.

The machine runs on KVM. Where KVM has no Hyper-V, or there is none, hvgo starts
a Linux kernel that has it in QEMU's software emulation and runs the machine
there: slower, otherwise the same. The first such start downloads that kernel
(a Debian package of 100 MB).

A kernel that hvgo build --format elf made takes the place of the image: it is
booted without firmware, by Linux's 64-bit boot protocol.

With --kernel the guest is a Linux kernel, which a boot loader need not find: of use
to anyone who works on Linux's drivers for Hyper-V.

The guest's console goes to the standard output, what hvgo has to say to the
standard error. Ctrl-C asks the guest to shut down (its program gets SIGTERM); a
second Ctrl-C switches it off. Ctrl-\ makes a program of hvgo's print its goroutines
and end (SIGQUIT). What is typed or piped in is typed on the guest's console, where
the bytes 03 and 1C are SIGINT and SIGQUIT.

The exit status is the guest program's own, if it has ended by itself. Otherwise:
  1      hvgo failed, or the guest crashed without a status
  128+n  signal n ended the program; 130: hvgo switched the guest off
  134    the runtime beneath the program failed, or SIGABRT ended it
  137    the guest was out of memory`,
		Example: `  hvgo run svc.vhdx
  hvgo run -p 8080:8080 --memory 128 svc.vhdx
  hvgo run -p 0.0.0.0:80:8080 --disk data.vhdx --disk scratch.img svc.vhdx
  hvgo run --append "LEVEL=debug -- -listen :8080" svc.elf
  hvgo run --kernel /boot/vmlinuz-6.12 --initrd initrd.img -m 1G --cpus 2 --disk root.img --append "console=ttyS0 root=/dev/sda1"`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 || len(args) == 0 && o.kernel.kernel != "":
				return nil
			case len(args) == 0:
				return errors.New("give the image to run: hvgo run IMAGE.vhdx")
			}
			return fmt.Errorf("run takes one image, and %d were given: hvgo run IMAGE.vhdx", len(args))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.image = args[0]
			}
			if o.qemu.on {
				return o.runQEMU(cmd.Context())
			}
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.memory, "memory", "m", "256", "memory of the guest: `size` in MiB, or with K, M, G")
	f.IntVar(&o.cpus, "cpus", 1, "virtual processors")
	f.StringArrayVarP(&o.publish, "publish", "p", nil, "forward TCP `[ip:]hostport:guestport`; ip is 127.0.0.1 unless given, hostport 0 takes a free one (repeatable)")
	f.StringArrayVar(&o.disks, "disk", nil, "data disk: `file`, VHDX or raw; raw: before its path takes the bytes as they are; the first is the guest's second disk (repeatable)")
	f.StringVar(&o.console, "console", "-", "`file` for the guest's console; - is the standard output")
	f.StringVar(&o.record, "record", "", "write what guest and host say to each other over VMBus to `file`; hvgo record show prints it")
	f.StringVar(&o.mask, "mask", "", "`features` of the hypervisor that the guest is not to see, for tests: names separated by commas, of "+(^hyperv.Mask(0)).String())
	f.BoolVar(&o.noNetwork, "no-network", false, "give the guest no network card")
	f.BoolVar(&o.noDisk, "no-disk", false, "boot from the image, but give the guest no disks")
	f.BoolVar(&o.nested, "nested", false, "use the emulated machine even where KVM has Hyper-V")
	f.BoolVar(&o.native, "native", false, "never use the emulated machine")
	f.BoolVar(&o.crashToo, consoleElsewhere, false, "")
	_ = f.MarkHidden(consoleElsewhere) // fails only without such a flag
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say all that the virtual devices log")
	o.kernel.addFlags(f)
	o.qemu.addFlags(f)
	o.balloon.addFlags(f)
	o.host.addFlags(f)
	o.stats.addFlags(f)
	cmd.MarkFlagsMutuallyExclusive("nested", "native")
	return cmd
}

// consoleElsewhere is the flag by which a hvgo in the emulated machine learns that
// its standard output goes to a file.
const consoleElsewhere = "console-elsewhere"

// runOptions are the flags as given.
type runOptions struct {
	image                                      string
	memory, console, mask, record              string
	cpus                                       int
	publish, disks                             []string
	noNetwork, noDisk, nested, native, verbose bool
	crashToo                                   bool

	kernel  kernelOptions
	host    hostOptions
	qemu    qemuOptions
	balloon balloonOptions
	stats   statsOptions
}

// runPlan is what the flags mean, after all checks.
type runPlan struct {
	image     *diskFile // nil with a kernel and no image
	kernel    *kernelPlan
	append    string // command line of the image
	disks     []*diskFile
	memory    uint64 // bytes
	cpus      int
	publish   []publish
	mask      hyperv.Mask
	host      *hostPlan
	balloon   *balloonPlan
	stats     statsOptions
	record    string // whole path, or nothing
	recordNew bool   // the file was not there before
	noNetwork bool
	noDisk    bool
	verbose   bool
	crashToo  bool // say the message of a crash: the console is not on the standard output
}

// run checks everything, then boots here or in the emulated machine.
func (o *runOptions) run(ctx context.Context) error {
	plan, err := o.plan()
	if err != nil {
		return err
	}
	defer plan.close()
	console, closeConsole, err := plan.consoleTo(o.console)
	if err != nil {
		return err
	}
	defer closeConsole()
	why := o.notHere()
	switch {
	case why == nil:
		return plan.runNative(ctx, console)
	case o.native:
		return why
	}
	say(fmt.Sprintf("%v: running in an emulated machine (slower)", why))
	return plan.runNested(ctx, console)
}

// notHere says why the guest is to run in the emulated machine; nil: it runs here.
func (o *runOptions) notHere() error {
	if o.nested {
		return errors.New("--nested")
	}
	return kvm.Usable()
}

// plan checks the flags, and opens and locks the disks.
func (o *runOptions) plan() (*runPlan, error) {
	p := &runPlan{cpus: o.cpus, stats: o.stats, noNetwork: o.noNetwork, noDisk: o.noDisk, verbose: o.verbose, crashToo: o.crashToo || o.console != "-"}
	var err error
	if p.memory, err = parseSize(o.memory); err != nil {
		return nil, fmt.Errorf("--memory: %w", err)
	}
	if err := checkMemory(p.memory); err != nil {
		return nil, err
	}
	if p.cpus < 1 || p.cpus > maxCPUs {
		return nil, fmt.Errorf("--cpus: a guest has 1 to %d processors, not %d", maxCPUs, p.cpus)
	}
	if err := o.qemu.check(); err != nil {
		return nil, err
	}
	o.takeKernel()
	if p.append, err = o.planAppend(); err != nil {
		return nil, err
	}
	if p.kernel, err = o.planKernel(p.memory); err != nil {
		return nil, err
	}
	if p.mask, err = hyperv.ParseMask(o.mask); err != nil {
		return nil, fmt.Errorf("--mask: %w", err)
	}
	if p.host, err = o.host.plan(); err != nil {
		return nil, err
	}
	if p.balloon, err = o.balloon.plan(p.memory); err != nil {
		return nil, err
	}
	if p.publish, err = parsePublishes(o.publish); err != nil {
		return nil, err
	}
	if len(p.publish) > 0 && p.noNetwork {
		return nil, errors.New("--publish and --no-network contradict each other")
	}
	if len(o.disks) > 0 && p.noDisk {
		return nil, errors.New("--disk and --no-disk contradict each other")
	}
	for i := range p.publish {
		if err := p.publish[i].claimPort(); err != nil {
			return nil, err
		}
	}
	err = p.openDisks(o.image, o.disks)
	if err == nil {
		err = p.planRecord(o.record)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *runPlan) openDisks(image string, disks []string) (err error) {
	seen := map[string]bool{}
	if image != "" || p.kernel == nil {
		if p.image, err = openImage(image); err != nil {
			return err
		}
		seen[p.image.path] = true
	}
	for _, name := range disks {
		// The lock would refuse the second one too, with a misleading reason.
		if real, err := filepath.EvalSymlinks(strings.TrimPrefix(name, rawPrefix)); err == nil {
			if real, err = filepath.Abs(real); err == nil && seen[real] {
				return fmt.Errorf("--disk: %s is given twice: two disks need two files", name)
			}
		}
		d, err := openDataDisk(name)
		if err != nil {
			return err
		}
		seen[d.path] = true
		p.disks = append(p.disks, d)
	}
	return nil
}

func (p *runPlan) close() {
	p.dropRecord()
	for _, d := range p.allDisks() {
		d.f.Close()
	}
}

// allDisks are the disks in the order of their LUNs.
func (p *runPlan) allDisks() []*diskFile {
	if p.image == nil {
		return p.disks
	}
	return append([]*diskFile{p.image}, p.disks...)
}

// consoleTo opens what the guest's console goes to, as --console says it.
func (p *runPlan) consoleTo(path string) (f *os.File, done func(), err error) {
	if path == "-" {
		return os.Stdout, func() {}, nil
	}
	if f, err = p.openConsole(path); err != nil {
		return nil, nil, fmt.Errorf("--console: %w", err)
	}
	return f, func() { f.Close() }, nil
}

// openConsole opens the file for the guest's console and empties it, unless it
// is one of the guest's disks. The open file is compared, not its name.
func (p *runPlan) openConsole(path string) (_ *os.File, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	for _, d := range p.allDisks() {
		disk, err := d.f.Stat()
		if err != nil {
			return nil, err
		}
		if os.SameFile(fi, disk) {
			return nil, fmt.Errorf("%s is a disk of the guest: give the console another file", path)
		}
	}
	if p.kernel.is(fi) {
		return nil, fmt.Errorf("%s is what the guest boots: give the console another file", path)
	}
	if p.isRecord(fi) {
		return nil, fmt.Errorf("%s is the file of --record: give the console another one", path)
	}
	if fi.Mode().IsRegular() { // no terminal, no pipe
		err = f.Truncate(0)
	}
	return f, err
}

// nestedOverhead is what the emulated machine needs beside the guest's memory,
// in MiB.
const nestedOverhead = 1024

// runNested runs this command again in the emulated machine, whose PID 1 is the
// hvgo binary too.
func (p *runPlan) runNested(ctx context.Context, console io.Writer) error {
	cfg := nested.Config{MemoryMiB: int(p.memory/mib) + nestedOverhead, Progress: say}
	p.kernel.nest(&cfg)
	for _, d := range p.allDisks() {
		cfg.Shares = append(cfg.Shares, nested.Share{Path: filepath.Dir(d.path), Writable: true})
	}
	if p.record != "" {
		cfg.Shares = append(cfg.Shares, nested.Share{Path: filepath.Dir(p.record), Writable: true})
	}
	for _, f := range p.publish {
		cfg.Forward = append(cfg.Forward, f.host)
	}
	return runAgainNested(ctx, cfg, append([]string{"run", "--native"}, p.args()...), console)
}

// runAgainNested runs hvgo in the emulated machine, in place of this one.
func runAgainNested(ctx context.Context, cfg nested.Config, args []string, console io.Writer) error {
	// From here on Ctrl-C is the guest's; a third one, when neither guest nor
	// machine obeys, is ours.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	passOn, up := make(chan os.Signal, 16), make(chan struct{})
	go passSignals(ctx, cancel, signals, passOn, up)

	m, err := nested.Start(ctx, cfg)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer m.Close()
	close(up)
	status, err := m.Run(ctx, nested.Command{
		Path: nested.InitPath, Args: args, Env: os.Environ(),
		Stdin: os.Stdin, Stdout: console, Stderr: os.Stderr, Signals: passOn,
	})
	if err != nil {
		return interrupted(ctx, err)
	}
	return statusError(status)
}

// errInterrupted is the cause of a context that Ctrl-C ended.
var errInterrupted = errors.New("interrupted")

func interrupted(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return errInterrupted
	}
	return err
}

// passSignals passes two signals on, once the machine is up; before, the first
// one ends all, and after, the third.
func passSignals(ctx context.Context, cancel context.CancelCauseFunc, from <-chan os.Signal, to chan<- os.Signal, up <-chan struct{}) {
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case s := <-from:
			select {
			case <-up:
				if s == syscall.SIGQUIT { // asks for no end
					to <- s
					n--
					continue
				}
			default:
				n = 3
			}
			if n >= 3 {
				cancel(errInterrupted)
				return
			}
			to <- s
		}
	}
}

// args returns the flags of the plan, with whole paths and chosen ports. Inside,
// published ports are all on 127.0.0.1.
func (p *runPlan) args() []string {
	args := []string{"--memory", strconv.FormatUint(p.memory/mib, 10), "--cpus", strconv.Itoa(p.cpus)}
	for _, f := range p.publish {
		inside := publish{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), f.host.Port()), f.guest}
		args = append(args, "--publish", inside.String())
	}
	for _, d := range p.disks {
		path := d.path
		if d.asItIs {
			path = rawPrefix + path
		}
		args = append(args, "--disk", path)
	}
	if p.mask != 0 {
		args = append(args, "--mask", p.mask.String())
	}
	if p.record != "" {
		args = append(args, "--record", p.record)
	}
	if p.noNetwork {
		args = append(args, "--no-network")
	}
	if p.noDisk {
		args = append(args, "--no-disk")
	}
	if p.verbose {
		args = append(args, "--verbose")
	}
	if p.crashToo {
		args = append(args, "--"+consoleElsewhere)
	}
	args = append(args, p.kernel.args()...)
	args = append(args, p.balloon.args()...)
	args = append(args, p.host.args()...)
	args = append(args, p.stats.args()...)
	if p.append != "" {
		args = append(args, "--append="+p.append)
	}
	if p.image == nil {
		return args
	}
	return append(args, "--", p.image.path)
}
