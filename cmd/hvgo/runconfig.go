// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/image/vhdx"
)

const (
	mib         = 1 << 20
	minMemory   = 16 * mib
	maxMemory   = 256 << 30
	maxCPUs     = 64
	sectorBytes = 512
)

// publish is one forwarded TCP port.
type publish struct {
	host  netip.AddrPort // where to listen here
	guest uint16
}

func (p publish) String() string { return fmt.Sprintf("%v:%d", p.host, p.guest) }

// parsePublish reads [ip:]hostport:guestport. Host port 0 takes a free one.
func parsePublish(s string) (publish, error) {
	bad := fmt.Errorf("--publish %q: want [ip:]hostport:guestport, such as 8080:80", s)
	parts := strings.Split(s, ":")
	addr := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if len(parts) == 3 {
		var err error
		if addr, err = netip.ParseAddr(parts[0]); err != nil || !addr.Is4() {
			return publish{}, fmt.Errorf("--publish %q: %q is no IPv4 address", s, parts[0])
		}
		parts = parts[1:]
	}
	if len(parts) != 2 {
		return publish{}, bad
	}
	host, err1 := strconv.ParseUint(parts[0], 10, 16)
	guest, err2 := strconv.ParseUint(parts[1], 10, 16)
	if err1 != nil || err2 != nil || guest == 0 {
		return publish{}, bad
	}
	return publish{netip.AddrPortFrom(addr, uint16(host)), uint16(guest)}, nil
}

// parsePublishes reads all of them; a host port may be given once.
func parsePublishes(list []string) ([]publish, error) {
	var out []publish
	seen := make(map[uint16]bool)
	for _, s := range list {
		p, err := parsePublish(s)
		if err != nil {
			return nil, err
		}
		if port := p.host.Port(); port != 0 && seen[port] {
			return nil, fmt.Errorf("--publish %q: host port %d is given twice", s, port)
		}
		seen[p.host.Port()] = true
		out = append(out, p)
	}
	return out, nil
}

// claimPort checks that the host's port is free, and chooses one for port 0. The
// port is not kept: whoever listens in the end may still find it taken.
func (p *publish) claimPort() error {
	l, err := net.Listen("tcp4", p.host.String())
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("port %d is in use on %v: stop what uses it, or publish another one, such as -p %d:%d",
			p.host.Port(), p.host.Addr(), min(p.host.Port(), 65534)+1, p.guest)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("port %d needs root: publish one above 1023, such as -p 8080:%d", p.host.Port(), p.guest)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%v is no address of this machine", p.host.Addr())
	case err != nil:
		return fmt.Errorf("publish %v: %w", p.host, err)
	}
	defer l.Close()
	p.host = netip.AddrPortFrom(p.host.Addr(), uint16(l.Addr().(*net.TCPAddr).Port))
	return nil
}

// parseSize reads a number of MiB, or of bytes with a suffix K, M, G.
func parseSize(s string) (uint64, error) {
	shift := 20
	digits := s
	switch {
	case strings.HasSuffix(s, "K"):
		shift, digits = 10, s[:len(s)-1]
	case strings.HasSuffix(s, "M"):
		digits = s[:len(s)-1]
	case strings.HasSuffix(s, "G"):
		shift, digits = 30, s[:len(s)-1]
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no size: want MiB, or a number with K, M or G", s)
	}
	return n << shift, nil
}

// checkMemory checks the guest's memory against what a guest needs and what is
// free here.
func checkMemory(bytes uint64) error {
	switch {
	case bytes < minMemory:
		return fmt.Errorf("--memory: %s is too little for a guest: give it %d MiB or more", mibText(bytes), minMemory/mib)
	case bytes > maxMemory:
		return fmt.Errorf("--memory: %s is more than the %d GiB that a guest can have", mibText(bytes), uint64(maxMemory)>>30)
	case bytes%mib != 0:
		return fmt.Errorf("--memory: %d bytes are not whole MiB", bytes)
	}
	if free, ok := freeMemory(); ok && bytes > free {
		return fmt.Errorf("--memory: the guest is to have %s, and only %s are free here: give it less", mibText(bytes), mibText(free))
	}
	return nil
}

func mibText(bytes uint64) string { return fmt.Sprintf("%d MiB", bytes/mib) }

// freeMemory returns MemAvailable of /proc/meminfo in bytes.
func freeMemory() (uint64, bool) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemAvailable:" {
			kib, err := strconv.ParseUint(f[1], 10, 40)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

// diskFile is a disk that passed all checks. Its file stays open and locked, so
// that no second guest writes to it.
type diskFile struct {
	path string // absolute, without symbolic links
	vhdx bool
	f    *os.File
}

// formats are what people take for a VHDX, by the bytes at an offset.
var formats = []struct {
	offset int
	magic  string
	name   string
	hint   string
}{
	{0, "conectix", "a VHD", "convert it: qemu-img convert -f vpc -O vhdx"},
	{0, "QFI\xfb", "a qcow2 image", "convert it: qemu-img convert -O vhdx"},
	{0, "KDMV", "a VMDK", "convert it: qemu-img convert -O vhdx"},
	{0, "\x7fELF", "a Linux program", "make an image of its package first: hvgo build"},
	{512, "EFI PART", "a raw disk", "convert it: qemu-img convert -f raw -O vhdx"},
	{0, "CD001", "an ISO image", "a VHDX is needed"},
}

// openImage opens the VHDX to boot.
func openImage(path string) (*diskFile, error) {
	d, head, err := openDiskFile(path)
	if err != nil {
		return nil, err
	}
	if !d.vhdx {
		d.f.Close()
		return nil, fmt.Errorf("%s %s", path, notVHDX(head))
	}
	if err := d.checkVHDX(); err != nil {
		d.f.Close()
		return nil, err
	}
	return d, nil
}

// notVHDX says what a file is instead.
func notVHDX(head []byte) string {
	if len(head) == 0 {
		return "is empty: build it again (hvgo build)"
	}
	for _, f := range formats {
		if len(head) > f.offset && bytes.HasPrefix(head[f.offset:], []byte(f.magic)) {
			return fmt.Sprintf("is %s, not a VHDX: %s", f.name, f.hint)
		}
	}
	return "is not a VHDX: hvgo build makes one"
}

// openDataDisk opens a VHDX or raw data disk.
func openDataDisk(path string) (*diskFile, error) {
	d, _, err := openDiskFile(path)
	if err != nil {
		return nil, fmt.Errorf("--disk: %w", err)
	}
	if d.vhdx {
		err = d.checkVHDX()
	} else {
		err = d.checkRaw()
	}
	if err != nil {
		d.f.Close()
		return nil, fmt.Errorf("--disk: %w", err)
	}
	return d, nil
}

// openDiskFile opens and locks a file and returns its first bytes.
func openDiskFile(path string) (*diskFile, []byte, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s does not exist", path)
	}
	if err != nil {
		return nil, nil, err
	}
	if real, err = filepath.Abs(real); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(real, os.O_RDWR|unix.O_NONBLOCK, 0) // a FIFO must not block us
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil, fmt.Errorf("%s: no permission to read and write it: a guest writes to its disks", path)
	}
	if err != nil {
		return nil, nil, err
	}
	head, err := inspectDisk(f)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("%s %w", path, err)
	}
	return &diskFile{real, bytes.HasPrefix(head, []byte("vhdxfile")), f}, head, nil
}

// inspectDisk locks the file and reads its head.
func inspectDisk(f *os.File) ([]byte, error) {
	if fi, err := f.Stat(); err != nil {
		return nil, err
	} else if fi.IsDir() || !fi.Mode().IsRegular() {
		return nil, errors.New("is no regular file")
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.New("is in use by another virtual machine: stop that one first")
	} else if err != nil {
		return nil, fmt.Errorf("cannot be locked: %w", err)
	}
	head := make([]byte, 1024)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return head[:n], nil
}

// checkVHDX reads the whole structure of a VHDX, checksums included. For
// reading only: a log is replayed when the guest starts, not here.
func (d *diskFile) checkVHDX() error {
	disk, err := vhdx.Open(keepOpen{d.f}, true)
	if err != nil {
		return fmt.Errorf("%s cannot be used: %w: build it again (hvgo build), or take a whole copy", d.path, err)
	}
	return disk.Close()
}

// keepOpen is a file that a vhdx.Disk does not close.
type keepOpen struct{ *os.File }

func (keepOpen) Close() error { return nil }

// checkRaw checks what little a raw disk can have wrong.
func (d *diskFile) checkRaw() error {
	fi, err := d.f.Stat()
	if err != nil {
		return err
	}
	if size := fi.Size(); size == 0 || size%sectorBytes != 0 {
		return fmt.Errorf("%s: a raw disk is whole sectors of %d bytes, not %d bytes", d.path, sectorBytes, size)
	}
	return nil
}
