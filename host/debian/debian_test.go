// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package debian

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNewestPackage(t *testing.T) {
	list := `linux-image-6.12-amd64 - Linux for 64-bit PCs (meta-package)
linux-image-6.12.9+deb12-amd64 - Linux 6.12 for 64-bit PCs (signed)
linux-image-6.12.117+deb12-amd64 - Linux 6.12 for 64-bit PCs (signed)
linux-image-6.12.118+deb12-amd64-unsigned - Linux 6.12
linux-image-6.12.118+deb12-cloud-amd64 - Linux 6.12
linux-image-6.12.118+deb12-rt-amd64 - Linux 6.12
linux-image-6.1.0-9-amd64 - Linux 6.1
linux-image-6.1.0-50-amd64 - Linux 6.1
linux-image-6.1.0-51-cloud-amd64 - Linux 6.1
`
	for name, want := range map[string]string{"6.12": "linux-image-6.12.117+deb12-amd64", "6.1": "linux-image-6.1.0-50-amd64"} {
		if got := newest([]byte(list), series[name]); got != want {
			t.Errorf("of %s: %q, want %q", name, got, want)
		}
		if got := newest(nil, series[name]); got != "" {
			t.Errorf("of nothing: %q", got)
		}
	}
}

func TestUnknownSeries(t *testing.T) {
	if _, err := Get(t.Context(), "2.6", nil); err == nil || !strings.Contains(err.Error(), "6.1, 6.12") {
		t.Errorf("error %v", err)
	}
}

func TestModuleName(t *testing.T) {
	for in, want := range map[string]string{
		"kvm-amd": "kvm_amd", "/lib/modules/6/kernel/arch/x86/kvm/kvm-amd.ko.xz": "kvm_amd", "9p.ko": "9p",
	} {
		if got := moduleName(in); got != want {
			t.Errorf("moduleName(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzModuleDepends(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = moduleDepends(b) })
}

// TestCached reads a cache as fetch leaves it, and as an interrupted one may.
func TestCached(t *testing.T) {
	cache := t.TempDir()
	missing := func(what string) {
		t.Helper()
		if k, err := cached(cache, series["6.12"]); err == nil {
			t.Errorf("%s: %+v", what, k)
		}
	}
	missing("empty cache")
	dir := filepath.Join(cache, "linux-image-6.12.9+deb12-amd64")
	if err := os.MkdirAll(filepath.Join(cache, "fetch-1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	missing("no boot image")
	write := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("vmlinuz")
	missing("no modules")
	write("hv_vmbus.ko")
	k, err := cached(cache, series["6.12"])
	if err != nil || k.Package != filepath.Base(dir) || !k.Has("hv-vmbus") || k.Has("ext4") {
		t.Fatalf("%+v, %v", k, err)
	}
	if _, err := k.Modules("ext4"); err == nil || !strings.Contains(err.Error(), "no module ext4") {
		t.Errorf("a missing module: %v", err)
	}
	if _, err := k.Modules("hv_vmbus"); err == nil {
		t.Error("a module that is no ELF file")
	}
	if _, err := cached(cache, series["6.1"]); err == nil {
		t.Error("6.12 is taken for 6.1")
	}
}
