// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package debian

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// moduleName returns the name under which modules refer to each other: the
// kernel's build turns every "-" of a file name into "_".
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// findModules maps names to the files below dir (lib/modules/<release>).
func findModules(dir string) (map[string]string, error) {
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.Contains(d.Name(), ".ko") {
			found[moduleName(path)] = path
		}
		return nil
	})
	return found, err
}

// Module is a kernel module, ready for finit_module.
type Module struct {
	Name string // as other modules refer to it: kvm_amd
	Data []byte // not compressed
}

// loadModules reads wanted and all that they depend on, in the order in which
// they must be loaded.
func loadModules(files map[string]string, wanted []string) ([]Module, error) {
	var order []Module
	seen := make(map[string]bool)
	var add func(name string) error
	add = func(name string) error {
		name = moduleName(name)
		if seen[name] {
			return nil
		}
		seen[name] = true
		file, ok := files[name]
		if !ok {
			return fmt.Errorf("the kernel package holds no module %s", name)
		}
		data, err := readModule(file)
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		deps, err := moduleDepends(data)
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		for _, d := range deps {
			if err := add(d); err != nil {
				return err
			}
		}
		order = append(order, Module{name, data})
		return nil
	}
	for _, w := range wanted {
		if err := add(w); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// readModule returns the module's ELF file; unpacking it here is faster than in
// the emulated kernel.
func readModule(file string) ([]byte, error) {
	switch filepath.Ext(file) {
	case ".ko":
		return os.ReadFile(file)
	case ".xz":
		return unpackWith("xz", "xz-utils", file)
	case ".zst":
		return unpackWith("zstd", "zstd", file)
	}
	return nil, fmt.Errorf("unknown compression of %s", filepath.Base(file))
}

func unpackWith(tool, pkg, file string) ([]byte, error) {
	if _, err := exec.LookPath(tool); err != nil {
		return nil, fmt.Errorf("%s is not installed: install the Debian package %s", tool, pkg)
	}
	out, err := exec.Command(tool, "-dc", file).Output()
	if err != nil {
		return nil, fmt.Errorf("%s -dc %s: %w", tool, file, err)
	}
	return out, nil
}

// moduleDepends reads the "depends=" entry of a module's .modinfo section,
// which is a list of NUL-terminated strings.
func moduleDepends(data []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, fmt.Errorf("no .modinfo section")
	}
	info, err := s.Data()
	if err != nil {
		return nil, err
	}
	for entry := range bytes.SplitSeq(info, []byte{0}) {
		if list, ok := strings.CutPrefix(string(entry), "depends="); ok {
			return strings.FieldsFunc(list, func(r rune) bool { return r == ',' }), nil
		}
	}
	return nil, nil
}
