// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/hvgo/hvgo/host/direct"
	"github.com/hvgo/hvgo/host/firmware"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/nested"
)

// kernelOptions are the flags of run that boot a Linux kernel.
type kernelOptions struct {
	kernel, initrd, append string
}

const (
	defaultAppend = "console=ttyS0"
	maxAppend     = 2047 // the kernel's COMMAND_LINE_SIZE, without its end
	maxKernel     = 512 * mib
)

func (o *kernelOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.kernel, "kernel", "", "boot `file`, a Linux kernel with EFI stub, such as /boot/vmlinuz-*, or an ELF kernel; the image, if given, is its first disk")
	f.StringVar(&o.initrd, "initrd", "", "with --kernel: `file` of the initial RAM disk")
	f.StringVar(&o.append, "append", defaultAppend, "the kernel's command `line`; for a Go program: NAME=value ... -- argument ...; an image gets none by default")
}

// kernelPlan is a kernel that passed all checks. A nil one is none.
type kernelPlan struct {
	kernel, initrd string // whole paths; initrd may be empty
	append         string
	size           uint64 // bytes of both files
}

// planKernel checks the kernel's flags and files.
func (o *runOptions) planKernel(memory uint64) (*kernelPlan, error) {
	k := o.kernel
	switch {
	case k.kernel != "":
	case k.initrd != "":
		return nil, errors.New("--initrd needs --kernel")
	default:
		return nil, nil
	}
	if err := checkAppend(k.append); err != nil {
		return nil, err
	}
	p := &kernelPlan{append: k.append}
	var need uint64
	var err error
	what := "this kernel"
	if p.kernel, p.size, need, err = checkKernel(k.kernel); err != nil {
		return nil, fmt.Errorf("--kernel: %w", err)
	}
	if k.initrd != "" {
		path, size, err := regularFile(k.initrd)
		if err != nil {
			return nil, fmt.Errorf("--initrd: %w", err)
		}
		p.initrd = path
		p.size += size
		what += " and its initial RAM disk"
		need += 2 * min(size, maxMemory) // as it lies there, and unpacked
	}
	if need = (need + mib - 1) &^ (mib - 1); memory < need {
		return nil, fmt.Errorf("--memory: %s is too little for %s: give it %s or more", mibText(memory), what, mibText(need))
	}
	return p, nil
}

func checkAppend(line string) error {
	if len(line) > maxAppend || !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) {
		return fmt.Errorf("--append: a command line is one line of %d bytes at most", maxAppend)
	}
	return nil
}

// Offsets in a bzImage (Linux's Documentation/arch/x86/boot.rst).
const (
	setupMagic  = 0x202
	setupSize   = 0x264
	setupMemory = 0x260 // init_size: memory to unpack and start in
	peOffset    = 0x3C
)

// checkKernel says where a kernel is, and what memory it takes to start: the file as
// it lies there, unpacked, and a little to live in.
func checkKernel(name string) (path string, size, need uint64, err error) {
	if path, size, err = regularFile(name); err != nil {
		return "", 0, 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", 0, 0, err
	}
	defer f.Close()
	var head [4096]byte
	n, _ := f.ReadAt(head[:], 0) // what is missing is zero, and no kernel
	if direct.IsELF(head[:n]) && size <= maxKernel {
		need, err = checkDirect(path)
		return path, size, need, err
	}
	if what := notKernel(head[:n]); what != "" {
		return "", 0, 0, fmt.Errorf("%s %s", name, what)
	}
	if size > maxKernel {
		return "", 0, 0, fmt.Errorf("%s has %s, and no kernel has more than %s", name, mibText(size), mibText(maxKernel))
	}
	need = size + 32*mib
	if string(head[setupMagic:][:4]) == "HdrS" {
		need += 2 * uint64(binary.LittleEndian.Uint32(head[setupMemory:])) // it must be in one piece
	}
	return path, size, need, nil
}

// notKernel says what the first bytes of a file are, if the firmware cannot start it.
func notKernel(head []byte) string {
	const want = "give a bzImage with EFI stub, such as /boot/vmlinuz-*"
	switch {
	case bytes.HasPrefix(head, []byte("vhdxfile")):
		return "is a VHDX: run it without --kernel"
	case len(head) > setupSize && string(head[setupMagic:][:4]) == "HdrS" && string(head[:2]) != "MZ":
		return "is a Linux kernel without EFI stub (CONFIG_EFI_STUB): " + want
	case len(head) <= setupSize || string(head[:2]) != "MZ":
		return "is no Linux kernel: " + want
	}
	at := binary.LittleEndian.Uint32(head[peOffset:])
	if uint64(at)+6 > uint64(len(head)) || string(head[at:][:4]) != "PE\x00\x00" {
		return "is no program for UEFI: " + want
	}
	const amd64 = 0x8664 // PE Format, Machine Types
	if m := binary.LittleEndian.Uint16(head[at+4:]); m != amd64 {
		return fmt.Sprintf("is for another processor (PE machine %#x): the guest's is x86-64", m)
	}
	return ""
}

// regularFile gives a file's whole path, without symbolic links, and its size.
func regularFile(name string) (path string, size uint64, err error) {
	path, err = filepath.EvalSymlinks(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, fmt.Errorf("%s does not exist", name)
	}
	if err != nil {
		return "", 0, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", 0, err
	}
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return "", 0, err
	case !fi.Mode().IsRegular():
		return "", 0, fmt.Errorf("%s is no regular file", name)
	case fi.Size() == 0:
		return "", 0, fmt.Errorf("%s is empty", name)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return "", 0, fmt.Errorf("%s: no permission to read it", name)
	}
	if err != nil {
		return "", 0, err
	}
	return path, uint64(fi.Size()), f.Close()
}

// load puts the kernel into a machine's Config. Without a kernel there is nothing to
// do.
func (k *kernelPlan) load(cfg *machine.Config) (err error) {
	if k == nil {
		return nil
	}
	if cfg.Image, err = os.ReadFile(k.kernel); err != nil {
		return fmt.Errorf("--kernel: %w", err)
	}
	if k.initrd != "" {
		if cfg.Initrd, err = os.ReadFile(k.initrd); err != nil {
			return fmt.Errorf("--initrd: %w", err)
		}
	}
	cfg.LoadOptions = k.append
	cfg.HugePages = true // Linux uses all memory that it has
	return nil
}

// boots is the file that the guest boots from.
func (p *runPlan) boots() string {
	if p.kernel != nil {
		return p.kernel.kernel
	}
	return p.image.path
}

// advice says what to do about a machine that does not take the kernel or, without
// one, the image.
func (k *kernelPlan) advice(err error) string {
	if k != nil && errors.Is(err, firmware.ErrNotPE) {
		return ": the kernel is damaged: take a whole copy of it"
	}
	return advice(err)
}

// is tells whether an open file is the kernel or its initial RAM disk.
func (k *kernelPlan) is(fi os.FileInfo) bool {
	for _, path := range k.files() {
		if other, err := os.Stat(path); err == nil && os.SameFile(fi, other) {
			return true
		}
	}
	return false
}

func (k *kernelPlan) files() []string {
	switch {
	case k == nil:
		return nil
	case k.initrd == "":
		return []string{k.kernel}
	}
	return []string{k.kernel, k.initrd}
}

// nest makes the files visible in the emulated machine, which holds them in memory.
func (k *kernelPlan) nest(cfg *nested.Config) {
	for _, path := range k.files() {
		cfg.Shares = append(cfg.Shares, nested.Share{Path: filepath.Dir(path)})
	}
	if k != nil {
		cfg.MemoryMiB += int(k.size / mib)
	}
}

// args returns the flags of the plan.
func (k *kernelPlan) args() []string {
	if k == nil {
		return nil
	}
	args := []string{"--kernel", k.kernel, "--append=" + k.append}
	if k.initrd != "" {
		args = append(args, "--initrd", k.initrd)
	}
	return args
}
