// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nested

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kernelPackages matches the kernels that are known to work: 6.12 is the first
// whose KVM was measured here. Not the cloud flavour, which has no 9p, and
// not rt.
var kernelPackages = regexp.MustCompile(`^linux-image-6\.12\.([0-9]+)\+deb[0-9]+-amd64$`)

const (
	fetchTimeout = 10 * time.Minute
	// kernelFormat changes when the contents of a cached kernel folder do.
	kernelFormat = "v2"
)

// kernel is an unpacked kernel: the boot image and its modules in load order.
type kernel struct {
	image   string // path
	modules []module
}

// cacheDir returns the folder that kernels are kept in.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep the Debian kernel in: %w", err)
	}
	return filepath.Join(base, "hvgo", "kernel-"+kernelFormat), nil
}

// getKernel returns the newest kernel of the cache, filling the cache first if
// it is empty. A newer package on Debian's servers is not looked for: a test
// should not change its ground by itself.
func getKernel(ctx context.Context, progress func(string)) (*kernel, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lockDir(cache)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if k, err := cachedKernel(cache); err == nil {
		return k, nil
	}
	if err := fetchKernel(ctx, cache, progress); err != nil {
		return nil, err
	}
	return cachedKernel(cache)
}

// FetchKernel fills the cache, so that a later Start needs no network.
func FetchKernel(ctx context.Context, progress func(string)) error {
	_, err := getKernel(ctx, progress)
	return err
}

// lockDir keeps two processes from filling the cache at the same time.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// cachedKernel reads the newest kernel folder: vmlinuz, and C-NN-name.ko,
// NN being the place in chain C of moduleChains.
func cachedKernel(cache string) (*kernel, error) {
	dirs, err := filepath.Glob(filepath.Join(cache, "linux-image-*"))
	if err != nil || len(dirs) == 0 {
		return nil, errors.New("no kernel in the cache")
	}
	slices.SortFunc(dirs, func(a, b string) int {
		return kernelPatch(filepath.Base(a)) - kernelPatch(filepath.Base(b))
	})
	dir := dirs[len(dirs)-1]
	k := &kernel{image: filepath.Join(dir, "vmlinuz")}
	if _, err := os.Stat(k.image); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.ko"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no modules in %s", dir)
	}
	for _, f := range files { // Glob sorts
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		// The name keeps its numbers: PID 1 goes by them.
		k.modules = append(k.modules, module{filepath.Base(f), data})
	}
	return k, nil
}

// kernelPatch returns N of linux-image-6.12.N+debD-amd64, or -1.
func kernelPatch(pkg string) int {
	m := kernelPackages.FindStringSubmatch(pkg)
	if m == nil {
		return -1
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return -1
	}
	return n
}

// newestPackage picks the newest kernel package of apt-cache's output.
func newestPackage(search []byte) string {
	best := ""
	for sc := bufio.NewScanner(bytes.NewReader(search)); sc.Scan(); {
		name, _, _ := strings.Cut(sc.Text(), " ")
		if kernelPatch(name) > kernelPatch(best) {
			best = name
		}
	}
	return best
}

// fetchKernel downloads the kernel's package and keeps the few files needed of
// it. Nothing is installed, and no root is needed.
func fetchKernel(ctx context.Context, cache string, progress func(string)) error {
	for _, tool := range []string{"apt-cache", "apt-get", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("no %s: the emulated machine's kernel comes from Debian's packages, and this is no Debian", tool)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	list, err := output(ctx, "", "apt-cache", "search", "--names-only", `^linux-image-6\.12\..*-amd64$`)
	if err != nil {
		return err
	}
	pkg := newestPackage(list)
	if pkg == "" {
		return errors.New("apt knows no package linux-image-6.12.*-amd64: run apt-get update (as root) and try again")
	}
	work, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	progress("downloading the Debian package " + pkg + " (about 100 MB, once)")
	if _, err := output(ctx, work, "apt-get", "download", pkg); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("apt-get download %s left %d packages", pkg, len(debs))
	}
	progress("unpacking " + filepath.Base(debs[0]))
	root := filepath.Join(work, "root")
	if _, err := output(ctx, work, "dpkg", "-x", debs[0], root); err != nil {
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
	if err := os.Mkdir(keep, 0o755); err != nil {
		return err
	}
	lib := filepath.Join(root, "lib", "modules")
	if _, err := os.Stat(lib); err != nil {
		lib = filepath.Join(root, "usr", "lib", "modules")
	}
	files, err := findModules(lib)
	if err != nil {
		return err
	}
	for chain, wanted := range moduleChains {
		mods, err := loadModules(files, wanted)
		if err != nil {
			return err
		}
		for i, m := range mods {
			name := fmt.Sprintf("%d-%02d-%s.ko", chain, i, m.name)
			if err := os.WriteFile(filepath.Join(keep, name), m.data, 0o644); err != nil {
				return err
			}
		}
	}
	return os.Rename(images[0], filepath.Join(keep, "vmlinuz"))
}

// output runs a tool and returns what it prints; an error holds the last line
// of what it complained about.
func output(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		last := lastLine(stderr.Bytes())
		if ctx.Err() != nil {
			last = ctx.Err().Error()
		}
		return nil, fmt.Errorf("%s %s: %w: %s", name, args[0], err, last)
	}
	return out, nil
}

// lastLine returns the last line of b that is not empty.
func lastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		b = b[i+1:]
	}
	return strings.TrimSpace(string(b))
}
