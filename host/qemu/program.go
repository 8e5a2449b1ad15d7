// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Devices of QEMU that this package uses, by QEMU's names.
const (
	Bridge     = "vmbus-bridge"   // the VMBus; QEMU 5.1 and later
	Balloon    = "hv-balloon"     // Dynamic Memory on it; QEMU 8.2 and later
	TestDevice = "hyperv-testdev" // echoes messages and events, at port 0x3000
)

// oldest is the first version that has all of AllFlags.
var oldest = [2]int{7, 1}

// Program is a QEMU that can be started, here or where its Folders are.
type Program struct {
	Command []string // the program and its first arguments
	Folders []string // what it reads: its own, its libraries' and its firmware's
	Version string   // as it says itself, such as "10.0.2"
	Devices []string // which of Bridge, Balloon and TestDevice it has
}

// Has tells whether this QEMU has a device.
func (p *Program) Has(device string) bool { return slices.Contains(p.Devices, device) }

// Encode makes a Program into one line for ParseProgram.
func (p *Program) Encode() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings only: it cannot
	}
	return string(b)
}

// ParseProgram reads what Encode made.
func ParseProgram(line string) (*Program, error) {
	var p Program
	if err := json.Unmarshal([]byte(line), &p); err != nil {
		return nil, fmt.Errorf("not a description of QEMU: %w", err)
	}
	if len(p.Command) == 0 {
		return nil, errors.New("a description of QEMU without a command")
	}
	return &p, nil
}

// Find asks the QEMU at path what it is. data are folders for its -L flag, for a
// QEMU that is not where it was built to be. The error is one line.
func Find(ctx context.Context, path string, data []string) (*Program, error) {
	p := &Program{Command: []string{path}}
	for _, dir := range data {
		p.Command = append(p.Command, "-L", dir)
	}
	out, err := p.ask(ctx, "--version")
	if err != nil {
		return nil, err
	}
	version := [2]int{}
	if p.Version, version = parseVersion(out); slices.Compare(version[:], oldest[:]) < 0 {
		return nil, fmt.Errorf("%s is QEMU %s, and %d.%d or newer is needed: install a newer one", path, p.Version, oldest[0], oldest[1])
	}
	for _, device := range []string{Bridge, Balloon, TestDevice} {
		// Not "-device help": that loads QEMU's modules, and ends in an abort where
		// those of another version are installed. The exit status says little: 7.2's is
		// 0 for a device that it does not know, and it tells so on the standard error.
		out, err := p.ask(ctx, "-device", device+",help")
		if err == nil && bytes.Contains(out, []byte(device)) {
			p.Devices = append(p.Devices, device)
		} else if ctx.Err() != nil {
			return nil, err
		}
	}
	if !p.Has(Bridge) {
		return nil, fmt.Errorf("%s (QEMU %s) has no device %s: install one that was built with it, such as Debian's", path, p.Version, Bridge)
	}
	if out, err = p.ask(ctx, "-L", "help"); err != nil {
		return nil, err
	}
	return p, p.findFolders(ctx, path, strings.Fields(string(out)))
}

// ask runs QEMU for what it prints.
func (p *Program) ask(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, p.Command[0], append(slices.Clone(p.Command[1:]), args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		said, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		return nil, fmt.Errorf("%s %s: %w: %s", p.Command[0], strings.Join(args, " "), err, said)
	}
	return out, nil
}

var versionLine = regexp.MustCompile(`QEMU emulator version (([0-9]+)\.([0-9]+)[0-9.]*)`)

// parseVersion reads the output of --version; major and minor are 0 for anything
// else.
func parseVersion(out []byte) (version string, majorMinor [2]int) {
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "of an unknown version", [2]int{}
	}
	major, err1 := strconv.Atoi(string(m[2]))
	minor, err2 := strconv.Atoi(string(m[3]))
	if err1 != nil || err2 != nil {
		return "of an unknown version", [2]int{}
	}
	return string(m[1]), [2]int{major, minor}
}

// findFolders names all that QEMU reads, and makes the command one that works
// where there is nothing but these folders: by the dynamic loader's own path.
func (p *Program) findFolders(ctx context.Context, path string, data []string) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	folders := append([]string{filepath.Dir(path)}, data...)
	loader, err := interpreter(path)
	if err != nil {
		return err
	}
	if loader != "" {
		out, err := exec.CommandContext(ctx, loader, "--list", path).Output()
		if err != nil {
			return fmt.Errorf("the libraries of %s: %s --list: %w", path, loader, err)
		}
		libraries := libraryFolders(out)
		if loader, err = filepath.EvalSymlinks(loader); err != nil {
			return err
		}
		folders = append(append(folders, libraries...), filepath.Dir(loader))
		// QEMU looks for its data beside its program, and would take the loader for it.
		p.Command = []string{loader, "--library-path", strings.Join(libraries, ":"), path}
		for _, dir := range data {
			p.Command = append(p.Command, "-L", filepath.Clean(dir))
		}
	}
	for i, dir := range folders {
		folders[i] = filepath.Clean(dir)
	}
	slices.Sort(folders)
	for _, dir := range slices.Compact(folders) {
		if fi, err := os.Stat(dir); err == nil && fi.IsDir() { // QEMU names some that are not there
			p.Folders = append(p.Folders, dir)
		}
	}
	return nil
}

// interpreter is an ELF file's dynamic loader, "" for a static program.
func interpreter(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	s := f.Section(".interp")
	if s == nil {
		return "", nil
	}
	b, err := s.Data()
	if err != nil {
		return "", fmt.Errorf("%s: .interp: %w", path, err)
	}
	return string(bytes.TrimRight(b, "\x00")), nil
}

// libraryFolders reads lines such as "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1
// (0x00007f...)".
func libraryFolders(out []byte) (folders []string) {
	for line := range bytes.Lines(out) {
		if f := strings.Fields(string(line)); len(f) >= 3 && f[1] == "=>" && filepath.IsAbs(f[2]) {
			if dir := filepath.Dir(f[2]); !slices.Contains(folders, dir) {
				folders = append(folders, dir)
			}
		}
	}
	return folders
}
