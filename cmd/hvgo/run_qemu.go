// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/hvgo/hvgo/host/firmware"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/nested"
	"github.com/hvgo/hvgo/host/qemu"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/image"
	"github.com/hvgo/hvgo/image/vhdx"
)

// qemuOptions are the flags of run that concern QEMU.
type qemuOptions struct {
	on      bool
	flags   string
	extra   []string
	program string // hidden: qemu.Program.Encode, in the emulated machine
}

// qemuProgramFlag tells a hvgo in the emulated machine which QEMU to start.
const qemuProgramFlag = "qemu-program"

func (o *qemuOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.on, "qemu", false, "boot in QEMU with Hyper-V's enlightenments instead of hvgo's own machine: no disks, no network")
	f.StringVar(&o.flags, "qemu-flags", qemu.AllFlags, "with --qemu: the processor's `hv-*` flags, separated by commas, or hv-passthrough")
	f.StringArrayVar(&o.extra, "qemu-arg", nil, "with --qemu: one more `argument` for QEMU (repeatable)")
	f.StringVar(&o.program, qemuProgramFlag, "", "")
	_ = f.MarkHidden(qemuProgramFlag) // fails only without such a flag
}

// qemuProgram is the Debian package's name for QEMU's program.
const qemuProgram = "qemu-system-x86_64"

// firmwares are where OVMF's code and variables lie in one file: Debian, Fedora,
// Arch Linux.
var firmwares = []string{"/usr/share/ovmf/OVMF.fd", "/usr/share/edk2/ovmf/OVMF.fd", "/usr/share/edk2/x64/OVMF.4m.fd"}

var hvFlags = regexp.MustCompile(`^hv-[a-z0-9-]+(=[a-zA-Z0-9]+)?(,[+-]?hv-[a-z0-9-]+(=[a-zA-Z0-9]+)?)*$`)

// qemuPlan is what the flags mean for QEMU, after all checks.
type qemuPlan struct {
	runPlan
	line     string // command line of the image
	emulated bool   // this is the emulated machine
	config   qemu.Config
}

// runQEMU checks everything, then starts QEMU here or in the emulated machine.
func (o *runOptions) runQEMU(ctx context.Context) error {
	plan, err := o.planQEMU()
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
	if why != nil && o.native {
		return why
	}
	if plan.config.Program, err = o.qemu.find(ctx, why != nil); err != nil {
		return err
	}
	if !plan.emulated && !plan.config.Program.Has(qemu.Balloon) {
		say(fmt.Sprintf("QEMU %s has no %s (8.2 has): going on without", plan.config.Program.Version, qemu.Balloon))
	}
	if why != nil {
		say(fmt.Sprintf("%v: running QEMU %s in an emulated machine (slower)", why, plan.config.Program.Version))
		return plan.runQEMUNested(ctx, o.qemu, console)
	}
	return plan.runQEMUNative(ctx, console)
}

// check refuses flags that are for QEMU only.
func (o *qemuOptions) check() error {
	if o.flags != "" && o.flags != qemu.AllFlags {
		return errors.New("--qemu-flags needs --qemu")
	}
	if len(o.extra) > 0 {
		return errors.New("--qemu-arg needs --qemu")
	}
	return nil
}

// find gives the QEMU to use here, or in the emulated machine.
func (o *qemuOptions) find(ctx context.Context, emulated bool) (*qemu.Program, error) {
	if o.program != "" {
		return qemu.ParseProgram(o.program)
	}
	return findQEMU(ctx, emulated)
}

func findQEMU(ctx context.Context, emulated bool) (*qemu.Program, error) {
	if emulated { // the one that emulates machines also runs in one
		path, data, err := nested.FindQEMU(ctx, say)
		if err != nil {
			return nil, err
		}
		return qemu.Find(ctx, path, data)
	}
	path, err := exec.LookPath(qemuProgram)
	if err != nil {
		return nil, fmt.Errorf("--qemu: %s is not installed: install the Debian package qemu-system-x86", qemuProgram)
	}
	return qemu.Find(ctx, path, nil)
}

// Names of environment variables that hold a qemu.Program for tests: the one that run
// takes, and the installed one where that is another.
const (
	qemuEnv          = "HVGO_TEST_QEMU"
	qemuInstalledEnv = "HVGO_TEST_QEMU_INSTALLED"
)

// announceQEMU lets the programs of vm-exec and vm-test start QEMU, if they are to:
// in the emulated machine, where there is one.
func (o *vmExecOptions) announceQEMU(ctx context.Context, emulated *nested.Config) error {
	if !o.qemu {
		return nil
	}
	p, err := findQEMU(ctx, emulated != nil)
	if err != nil {
		return err
	}
	if err := announce(qemuEnv, p, emulated); err != nil {
		return err
	}
	installed, err := findQEMU(ctx, false)
	if err != nil || installed.Version == p.Version {
		return nil // it is a second one, and not needed
	}
	return announce(qemuInstalledEnv, installed, emulated)
}

func announce(variable string, p *qemu.Program, emulated *nested.Config) error {
	if emulated != nil {
		for _, dir := range p.Folders {
			emulated.Shares = append(emulated.Shares, nested.Share{Path: dir})
		}
	}
	return os.Setenv(variable, p.Encode())
}

// planQEMU checks the flags, and opens and locks the image.
func (o *runOptions) planQEMU() (_ *qemuPlan, err error) {
	switch {
	case len(o.publish) > 0:
		return nil, errors.New("--publish and --qemu contradict each other: QEMU has no network card on VMBus")
	case len(o.disks) > 0:
		return nil, errors.New("--disk and --qemu contradict each other: QEMU has no disks on VMBus")
	case o.balloon.size != "":
		return nil, errors.New("--balloon and --qemu contradict each other: QEMU offers Dynamic Memory anyway, and its monitor sets the size")
	case o.record != "":
		return nil, errors.New("--record and --qemu contradict each other: hvgo's own machine records, QEMU has --qemu-arg=-trace --qemu-arg='vmbus_*'")
	case o.host.strict:
		return nil, errors.New("--strict and --qemu contradict each other: it is for hvgo's own machine")
	case len(o.host.quirks) > 0:
		return nil, errors.New("--quirk and --qemu contradict each other: it is for hvgo's own machine")
	case o.mask != "":
		return nil, errors.New("--mask and --qemu contradict each other: say with --qemu-flags what the guest is to see")
	case !hvFlags.MatchString(o.qemu.flags):
		return nil, fmt.Errorf("--qemu-flags: %q is no list of hv-* flags, such as %s", o.qemu.flags, qemu.FewestFlags)
	}
	p := &qemuPlan{line: o.kernel.append, emulated: o.qemu.program != ""}
	p.cpus, p.crashToo = o.cpus, o.crashToo || o.console != "-"
	if p.memory, err = parseSize(o.memory); err != nil {
		return nil, fmt.Errorf("--memory: %w", err)
	}
	if err := checkMemory(p.memory); err != nil {
		return nil, err
	}
	if p.cpus < 1 || p.cpus > maxCPUs {
		return nil, fmt.Errorf("--cpus: a guest has 1 to %d processors, not %d", maxCPUs, p.cpus)
	}
	if err := p.openBoot(o); err != nil {
		return nil, err
	}
	p.config.Memory, p.config.CPUs, p.config.Flags, p.config.Extra = p.memory, p.cpus, o.qemu.flags, o.qemu.extra
	return p, nil
}

// openBoot opens what is to be booted: an image, or a kernel given either way.
func (p *qemuPlan) openBoot(o *runOptions) (err error) {
	o.takeKernel()
	if p.kernel, err = o.planKernel(p.memory); err != nil || p.kernel != nil {
		if err == nil && o.image != "" {
			err = errors.New("--kernel, --qemu and an image contradict each other: QEMU has no disks on VMBus")
		}
		return err
	}
	if err := checkAppend(p.line); err != nil {
		return err
	}
	if p.line == defaultAppend { // an image gets none by default
		p.line = ""
	}
	p.image, err = openImage(o.image)
	return err
}

// runQEMUNative runs QEMU on this computer's KVM and returns when it has ended.
func (p *qemuPlan) runQEMUNative(ctx context.Context, console io.Writer) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done, err := p.boot()
	if err != nil {
		return err
	}
	defer done()
	start := time.Now()
	v, err := qemu.Start(ctx, p.config, console, os.Stderr)
	if err != nil {
		return err
	}
	go switchOffAtSignal(ctx, v, signals)
	go feedConsole(ctx, v.Input(), os.Stdin)
	exit, err := v.Wait()
	say(fmt.Sprintf("the guest ran for %.1f s in QEMU %s", time.Since(start).Seconds(), p.config.Program.Version))
	if err != nil {
		return err
	}
	return exitError(machineExit(exit), p.crashToo)
}

// switchOffAtSignal ends QEMU at the first signal: it has no integration service
// to ask the guest with.
func switchOffAtSignal(ctx context.Context, v *qemu.VM, signals <-chan os.Signal) {
	select {
	case <-ctx.Done():
		return
	case <-signals:
	}
	say("switching the guest off: QEMU has no way to ask it to shut down")
	quit, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := v.Command(quit, "quit", nil); err != nil {
		v.Kill()
	}
}

// machineExit says in the words of hvgo's own machine how QEMU's ended.
func machineExit(e qemu.Exit) machine.Exit {
	switch {
	case e.Crashed:
		return machine.Exit{Kind: vmm.Crash, Params: e.Params}
	case e.Reason == "guest-shutdown":
		return machine.Exit{Kind: vmm.Shutdown}
	case e.Reason == "guest-reset":
		return machine.Exit{Kind: vmm.Reset, Detail: "a triple fault looks the same in QEMU"}
	}
	return machine.Exit{Kind: vmm.Stopped}
}

// runQEMUNested runs this command again in the emulated machine.
func (p *qemuPlan) runQEMUNested(ctx context.Context, o qemuOptions, console io.Writer) error {
	cfg := nested.Config{MemoryMiB: int(p.memory/mib) + nestedOverhead, Progress: say}
	p.kernel.nest(&cfg)
	args := []string{
		"run", "--native", "--qemu", "--qemu-flags", o.flags, "--" + qemuProgramFlag, p.config.Program.Encode(),
		"--memory", strconv.FormatUint(p.memory/mib, 10), "--cpus", strconv.Itoa(p.cpus),
	}
	args = append(args, p.kernel.args()...)
	if p.image != nil {
		cfg.Shares = append(cfg.Shares, nested.Share{Path: filepath.Dir(p.image.path), Writable: true})
		args = append(args, "--append="+p.line)
	}
	for _, dir := range p.config.Program.Folders {
		cfg.Shares = append(cfg.Shares, nested.Share{Path: dir})
	}
	for _, a := range o.extra {
		args = append(args, "--qemu-arg="+a)
	}
	if p.crashToo {
		args = append(args, "--"+consoleElsewhere)
	}
	if args = append(args, "--"); p.image != nil {
		args = append(args, p.image.path)
	}
	return runAgainNested(ctx, cfg, args, console)
}

// boot says what QEMU is to boot, and gives what to call when QEMU has ended.
func (p *qemuPlan) boot() (done func(), err error) {
	done = func() {}
	if p.kernel != nil {
		p.config.Kernel, p.config.Initrd, p.config.CommandLine = p.kernel.kernel, p.kernel.initrd, p.kernel.append
		return done, nil
	}
	// OVMF as a guest of the emulated machine ends it: QEMU's emulation does not bear
	// that it writes CR8 (docs/decisions/0015-qemu-as-a-host.md). And no firmware passes a
	// command line on.
	if !p.emulated && p.line == "" {
		if p.config.Firmware = ovmf(); p.config.Firmware != "" {
			p.config.Disk = p.image.path
			return done, nil
		}
	}
	kernel, err := p.imageAsKernel()
	if err != nil {
		return nil, err
	}
	p.config.Kernel, p.config.CommandLine = kernel, p.line
	return func() { os.Remove(kernel) }, nil
}

// imageAsKernel takes the program out of the image and makes it into a kernel: the
// same code and data, with the entry for direct boot.
func (p *qemuPlan) imageAsKernel() (path string, err error) {
	disk, err := vhdx.Open(keepOpen{p.image.f}, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.image.path, err)
	}
	defer disk.Close()
	application, err := firmware.ReadBootImage(disk, disk.Size())
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", p.image.path, err, damagedImage)
	}
	kernel, err := image.ELFFromPE(application)
	if err != nil {
		return "", fmt.Errorf("%s cannot be booted without firmware: %w: build it again (hvgo build)", p.image.path, err)
	}
	f, err := os.CreateTemp("", "hvgo-kernel-*.elf")
	if err != nil {
		return "", err
	}
	_, err = f.Write(kernel)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// ovmf finds the firmware, "" where there is none.
func ovmf() string {
	for _, path := range firmwares {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}
