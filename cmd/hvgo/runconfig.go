// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
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
		return 0, fmt.Errorf("%q is no size: want MiB, or a number with K, M or G, %dG at most", s, uint64(maxMemory)>>30)
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

	asItIs bool // the user wants it raw, whatever it looks like
}

// formats are what people take for a VHDX or a raw disk, by the bytes at an
// offset; a negative one counts from the end of the file.
var formats = []struct {
	offset  int64
	magic   string
	name    string
	convert string // how qemu-img is to convert it; "" where it cannot
	hint    string // for an image to boot, where there is nothing to convert
}{
	{0, "conectix", "a VHD", "-f vpc -O vhdx", ""},
	{-sectorBytes, "conectix", "a VHD", "-f vpc -O vhdx", ""}, // of fixed size
	{0, "QFI\xfb", "a qcow2 image", "-O vhdx", ""},
	{0, "KDMV", "a VMDK", "-O vhdx", ""},
	{0, "COWD", "a VMDK", "-O vhdx", ""},
	{0, "# Disk DescriptorFile", "a VMDK", "-O vhdx", ""},
	{64, "\x7f\x10\xda\xbe", "a VDI", "-O vhdx", ""},
	{0, "\x7fELF", "a Linux program", "", "make an image of its package first: hvgo build"},
	{sectorBytes, gptMagic, "a raw disk", "-f raw -O vhdx", ""},
	{0x8001, "CD001", "an ISO image", "", "a VHDX is needed"}, // ECMA-119, 8.1: sector 16
	// MS-VHDX 2.2: a VHDX whose first bytes are damaged.
	{64 << 10, "head", damagedVHDX, "", damagedImage},
	{128 << 10, "head", damagedVHDX, "", damagedImage},
	{192 << 10, "regi", damagedVHDX, "", damagedImage},
	{256 << 10, "regi", damagedVHDX, "", damagedImage},
}

const (
	gptMagic     = "EFI PART"
	damagedVHDX  = "a VHDX whose first bytes are damaged"
	damagedImage = "build it again (hvgo build), or take a whole copy"
)

// rawPrefix before a data disk's path takes its bytes as they are.
const rawPrefix = "raw:"

// hasMagic looks for bytes at an offset as in formats.
func (d *diskFile) hasMagic(offset int64, magic string) bool {
	if offset < 0 {
		fi, err := d.f.Stat()
		if err != nil || fi.Size() < -offset {
			return false
		}
		offset += fi.Size()
	}
	b := make([]byte, len(magic))
	n, _ := d.f.ReadAt(b, offset) // io.EOF behind whole magic is fine
	return string(b[:n]) == magic
}

// openImage opens the VHDX to boot.
func openImage(path string) (*diskFile, error) {
	d, err := openDiskFile(path)
	if err != nil {
		return nil, err
	}
	if !d.vhdx {
		defer d.f.Close()
		return nil, fmt.Errorf("%s %s", path, d.notVHDX())
	}
	if err := d.checkVHDX(); err != nil {
		d.f.Close()
		return nil, fmt.Errorf("%s cannot be used: %w: %s", d.path, err, damagedImage)
	}
	return d, nil
}

// notVHDX says what an image is instead.
func (d *diskFile) notVHDX() string {
	if fi, err := d.f.Stat(); err == nil && fi.Size() == 0 {
		return "is empty: build it again (hvgo build)"
	}
	for _, f := range formats {
		switch {
		case !d.hasMagic(f.offset, f.magic):
		case f.name == damagedVHDX:
			return fmt.Sprintf("is %s: %s", f.name, f.hint)
		case f.convert != "":
			return fmt.Sprintf("is %s, not a VHDX: convert it: qemu-img convert %s", f.name, f.convert)
		default:
			return fmt.Sprintf("is %s, not a VHDX: %s", f.name, f.hint)
		}
	}
	return "is not a VHDX: hvgo build makes one"
}

// openDataDisk opens a VHDX or raw data disk; with rawPrefix, any file as a raw
// one.
func openDataDisk(path string) (*diskFile, error) {
	path, asItIs := strings.CutPrefix(path, rawPrefix)
	d, err := openDiskFile(path)
	if err != nil {
		return nil, fmt.Errorf("--disk: %w", err)
	}
	if asItIs {
		d.vhdx, d.asItIs = false, true
	}
	if d.vhdx {
		if err = d.checkVHDX(); err != nil {
			err = fmt.Errorf("%s cannot be used: %w: take a whole copy of it", d.path, err)
		}
	} else {
		err = d.checkRaw()
	}
	if err != nil {
		d.f.Close()
		return nil, fmt.Errorf("--disk: %w", err)
	}
	return d, nil
}

// openDiskFile opens and locks a file and sees whether it is a VHDX.
func openDiskFile(path string) (*diskFile, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist", path)
	}
	if err != nil {
		return nil, err
	}
	if real, err = filepath.Abs(real); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(real, os.O_RDWR|unix.O_NONBLOCK, 0) // a FIFO must not block us
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s: no permission to read and write it: a guest writes to its disks", path)
	}
	if err != nil {
		return nil, err
	}
	if err := lockDisk(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s %w", path, err)
	}
	d := &diskFile{path: real, f: f}
	d.vhdx = d.hasMagic(0, "vhdxfile")
	return d, nil
}

// lockDisk keeps others from a file that can be a disk.
func lockDisk(f *os.File) error {
	if fi, err := f.Stat(); err != nil {
		return err
	} else if fi.IsDir() || !fi.Mode().IsRegular() {
		return errors.New("is no regular file")
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return errors.New("is in use by another virtual machine: stop that one first")
	} else if err != nil {
		return fmt.Errorf("cannot be locked: %w", err)
	}
	return nil
}

// checkVHDX reads the whole structure of a VHDX, checksums included. For
// reading only: a log is replayed when the guest starts, not here.
func (d *diskFile) checkVHDX() error {
	disk, err := vhdx.Open(keepOpen{d.f}, true)
	if err != nil {
		return err
	}
	return disk.Close()
}

// keepOpen is a file that a vhdx.Disk does not close.
type keepOpen struct{ *os.File }

func (keepOpen) Close() error { return nil }

// checkRaw checks that a raw disk is one. A guest on a file of another format
// would write over what holds that together.
func (d *diskFile) checkRaw() error {
	fi, err := d.f.Stat()
	if err != nil {
		return err
	}
	for _, f := range formats {
		if d.asItIs || f.magic == gptMagic || !d.hasMagic(f.offset, f.magic) {
			continue
		}
		first := "take a whole copy of it"
		switch {
		case f.convert != "":
			first = "convert it: qemu-img convert " + f.convert
		case f.name != damagedVHDX:
			first = "give a VHDX or a raw disk"
		}
		return fmt.Errorf("%s is %s, and the guest would write over it: %s; or take its bytes as they are: --disk %s%s", d.path, f.name, first, rawPrefix, d.path)
	}
	if size := fi.Size(); size == 0 || size%sectorBytes != 0 {
		return fmt.Errorf("%s: a raw disk is whole sectors of %d bytes, not %d bytes", d.path, sectorBytes, size)
	}
	return nil
}
