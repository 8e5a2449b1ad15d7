// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package debian

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	fetchTimeout = 10 * time.Minute
	// cacheFormat changes when the contents of a cached kernel's folder do.
	cacheFormat = "v2"
)

// series are the kernels of a release: Debian's plain ones, as the cloud flavour
// has no 9p, and rt is another kernel. The group is what tells old from new.
var series = map[string]*regexp.Regexp{
	"6.12": regexp.MustCompile(`^linux-image-6\.12\.([0-9]+)\+deb[0-9]+-amd64$`),
	"6.1":  regexp.MustCompile(`^linux-image-6\.1\.0-([0-9]+)-amd64$`),
}

// kept are the modules in the cache, as far as a kernel has them, with all that
// they depend on.
var kept = []string{
	"9p", "9pnet_virtio", "virtio_net", "kvm-amd", // the emulated machine
	"hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils", "hv_balloon", "hv_sock", "pci-hyperv", // a guest of Hyper-V
	"sd_mod", "ext4",
	// What those ask the kernel for by an algorithm's name, which is no dependency.
	"crc32c_generic", "crc32c-intel", "crct10dif_generic", "crc64_rocksoft_generic",
}

// Kernel is a kernel in the cache.
type Kernel struct {
	Package string // Debian's name: linux-image-6.12.117+deb12-amd64
	Image   string // path of the bzImage

	modules map[string]string // name to path
}

// Get returns the newest kernel of a series ("6.12", "6.1") in the cache, after
// fetching one if there is none. Errors are one line and say what to do.
func Get(ctx context.Context, name string, progress func(string)) (*Kernel, error) {
	packages, ok := series[name]
	if !ok {
		return nil, fmt.Errorf("no kernel series %q: it is one of %s", name, strings.Join(slices.Sorted(maps.Keys(series)), ", "))
	}
	cache, err := CacheDir("linux-" + cacheFormat)
	if err != nil {
		return nil, err
	}
	unlock, err := Lock(cache)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if k, err := cached(cache, packages); err == nil {
		return k, nil
	}
	if err := fetch(ctx, cache, name, progress); err != nil {
		return nil, err
	}
	return cached(cache, packages)
}

// Modules returns the modules named and all that they depend on, in the order in
// which they must be loaded.
func (k *Kernel) Modules(wanted ...string) ([]Module, error) {
	return loadModules(k.modules, wanted)
}

// Has reports whether the kernel has a module of its own; a missing one may be
// part of the boot image.
func (k *Kernel) Has(module string) bool {
	_, ok := k.modules[moduleName(module)]
	return ok
}

// cached reads the newest kernel's folder: vmlinuz and NAME.ko.
func cached(cache string, packages *regexp.Regexp) (*Kernel, error) {
	dirs, err := filepath.Glob(filepath.Join(cache, "linux-image-*"))
	if err != nil {
		return nil, err
	}
	var names []byte
	for _, d := range dirs {
		names = append(names, filepath.Base(d)+"\n"...)
	}
	pkg := newest(names, packages)
	if pkg == "" {
		return nil, errors.New("no kernel in the cache")
	}
	k := &Kernel{Package: pkg, Image: filepath.Join(cache, pkg, "vmlinuz")}
	if _, err := os.Stat(k.Image); err != nil {
		return nil, err
	}
	if k.modules, err = findModules(filepath.Join(cache, pkg)); err != nil {
		return nil, err
	}
	if len(k.modules) == 0 {
		return nil, fmt.Errorf("no modules of %s", pkg)
	}
	return k, nil
}

// newest picks the newest package of a list, one a line, and perhaps more on the
// line, as apt-cache has it.
func newest(list []byte, packages *regexp.Regexp) (best string) {
	top := -1
	for sc := bufio.NewScanner(bytes.NewReader(list)); sc.Scan(); {
		name, _, _ := strings.Cut(sc.Text(), " ")
		m := packages.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil && n > top {
			best, top = name, n
		}
	}
	return best
}

// fetch downloads the newest package of a series and keeps the few files needed
// of it. Nothing is installed, and no root is needed.
func fetch(ctx context.Context, cache, name string, progress func(string)) error {
	for _, tool := range []string{"apt-cache", "apt-get", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("no %s: the kernel comes from Debian's packages, and this is no Debian", tool)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	list, err := Output(ctx, "", "apt-cache", "search", "--names-only", `^linux-image-`+regexp.QuoteMeta(name)+`\..*-amd64$`)
	if err != nil {
		return err
	}
	pkg := newest(list, series[name])
	if pkg == "" {
		return fmt.Errorf("apt knows no package linux-image-%s.*-amd64: run apt-get update (as root) and try again", name)
	}
	work, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	progress("downloading the Debian package " + pkg + " (about 100 MB, once)")
	if _, err := Output(ctx, work, "apt-get", "download", pkg); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("apt-get download %s left %d packages", pkg, len(debs))
	}
	progress("unpacking " + filepath.Base(debs[0]))
	root := filepath.Join(work, "root")
	if _, err := Output(ctx, work, "dpkg", "-x", debs[0], root); err != nil {
		return err
	}
	keep := filepath.Join(work, pkg)
	if err := keepKernel(root, keep); err != nil {
		return fmt.Errorf("package %s: %w", pkg, err)
	}
	final := filepath.Join(cache, pkg)
	if err := os.RemoveAll(final); err != nil { // unusable, or this would not run
		return err
	}
	return os.Rename(keep, final)
}

// keepKernel copies the boot image and the needed modules from the unpacked
// package to keep.
func keepKernel(root, keep string) error {
	images, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil || len(images) != 1 {
		return fmt.Errorf("%d boot images", len(images))
	}
	lib := filepath.Join(root, "lib", "modules")
	if _, err := os.Stat(lib); err != nil {
		lib = filepath.Join(root, "usr", "lib", "modules")
	}
	files, err := findModules(lib)
	if err != nil {
		return err
	}
	wanted := slices.DeleteFunc(slices.Clone(kept), func(name string) bool { return files[moduleName(name)] == "" })
	mods, err := loadModules(files, wanted)
	if err != nil {
		return err
	}
	if err := os.Mkdir(keep, 0o755); err != nil {
		return err
	}
	for _, m := range mods {
		if err := os.WriteFile(filepath.Join(keep, m.Name+".ko"), m.Data, 0o644); err != nil {
			return err
		}
	}
	return os.Rename(images[0], filepath.Join(keep, "vmlinuz"))
}
