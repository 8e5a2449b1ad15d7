// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nested

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hvgo/hvgo/host/debian"
)

// fetchTimeout bounds all downloads together.
const fetchTimeout = 10 * time.Minute

// goodQEMU is the first major version whose emulation of nested SVM carries our
// guests under load. 7.2's loses them within a minute
// (docs/decisions/0013-newer-qemu.md).
const goodQEMU = 10

// On Debian 12 such a version is in its backports. It is unpacked into the cache
// and not installed; the libraries it needs are those of the installed one.
const (
	oldCodename    = "bookworm"
	emulatorFormat = "v1"
)

var emulatorPackages = []string{"qemu-system-x86", "qemu-system-common", "qemu-system-data"}

// emulator is a QEMU that can be started.
type emulator struct {
	path string
	data []string // folders with firmware; none: the program knows its own
}

// args tell QEMU where its files are.
func (e *emulator) args() (args []string) {
	for _, dir := range e.data {
		args = append(args, "-L", dir)
	}
	return args
}

// getEmulator finds a QEMU that is new enough, or fetches one. Where none can
// be had it takes the one there is, and says what to expect.
func getEmulator(ctx context.Context, progress func(string)) (*emulator, error) {
	installed, err := exec.LookPath(qemuProgram)
	if err != nil {
		return nil, fmt.Errorf("%s is not installed: install the Debian package %s", qemuProgram, qemuPackage)
	}
	version := qemuVersion(ctx, installed)
	if version >= goodQEMU {
		return &emulator{path: installed}, nil
	}
	e, err := cachedEmulator(ctx, progress)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		progress(fmt.Sprintf("QEMU %d is installed, and no newer one could be had (%v): guests may die under load", version, err))
		return &emulator{path: installed}, nil
	}
	return e, nil
}

var versionLine = regexp.MustCompile(`QEMU emulator version ([0-9]+)\.`)

// qemuVersion is a QEMU's major version, 0 when it does not start.
func qemuVersion(ctx context.Context, path string) int {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return 0
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return 0
	}
	return n
}

// cachedEmulator gives the cache's QEMU, after filling the cache if need be.
func cachedEmulator(ctx context.Context, progress func(string)) (*emulator, error) {
	cache, err := debian.CacheDir("qemu-" + emulatorFormat)
	if err != nil {
		return nil, err
	}
	unlock, err := debian.Lock(cache)
	if err != nil {
		return nil, err
	}
	defer unlock()
	root := filepath.Join(cache, "root")
	e := &emulator{
		path: filepath.Join(root, "usr", "bin", qemuProgram),
		data: []string{filepath.Join(root, "usr", "share", "qemu"), "/usr/share/seabios"},
	}
	if qemuVersion(ctx, e.path) >= goodQEMU {
		return e, nil
	}
	if err := fetchEmulator(ctx, cache, root, progress); err != nil {
		return nil, err
	}
	if v := qemuVersion(ctx, e.path); v < goodQEMU {
		return nil, fmt.Errorf("the one fetched does not start, or is version %d", v)
	}
	return e, nil
}

// fetchEmulator downloads and unpacks the packages. apt gets lists of its own
// in the cache: the system's sources are not changed.
func fetchEmulator(ctx context.Context, cache, root string, progress func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	mirror, err := mirrorOf(ctx, oldCodename)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	source := "deb " + mirror + " " + oldCodename + "-backports main\n"
	if err := os.WriteFile(filepath.Join(work, "sources.list"), []byte(source), 0o644); err != nil {
		return err
	}
	lists := filepath.Join(work, "lists", "partial")
	if err := errors.Join(os.MkdirAll(lists, 0o755), os.MkdirAll(filepath.Join(work, "cache", "archives", "partial"), 0o755)); err != nil {
		return err
	}
	apt := func(args ...string) error {
		own := []string{"-q", "-o", "Dir::Etc::SourceList=" + filepath.Join(work, "sources.list"), "-o", "Dir::Etc::SourceParts=-",
			"-o", "Dir::State::Lists=" + filepath.Join(work, "lists"), "-o", "Dir::Cache=" + filepath.Join(work, "cache"),
			"-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none"}
		_, err := debian.Output(ctx, work, "apt-get", append(own, args...)...)
		return err
	}
	progress(fmt.Sprintf("downloading QEMU %d from Debian's backports (about 25 MB, once): the installed one is too old", goodQEMU))
	if err := apt("update"); err != nil {
		return err
	}
	if err := apt(append([]string{"download"}, emulatorPackages...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(debs) != len(emulatorPackages) {
		return fmt.Errorf("apt-get download left %d packages of %d", len(debs), len(emulatorPackages))
	}
	unpacked := filepath.Join(work, "root")
	for _, deb := range debs {
		if _, err := debian.Output(ctx, work, "dpkg", "-x", deb, unpacked); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(root); err != nil { // unusable, or this would not run
		return err
	}
	return os.Rename(unpacked, root)
}

// mirrorOf is where apt has a release's packages from.
func mirrorOf(ctx context.Context, codename string) (string, error) {
	out, err := debian.Output(ctx, "", "apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages")
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(out) {
		f := strings.Fields(string(line))
		if len(f) == 3 && f[1] == codename && f[2] == "main" {
			return f[0], nil
		}
	}
	return "", fmt.Errorf("this is not Debian's %s", codename)
}

// FindQEMU gives the path of a QEMU that is new enough for this package, and the
// folders to give to its -L flag; it may fetch one, as Start does. progress gets a
// line for each step that may take over a second.
func FindQEMU(ctx context.Context, progress func(line string)) (path string, data []string, err error) {
	e, err := getEmulator(ctx, progress)
	if err != nil {
		return "", nil, err
	}
	return e.path, e.data, nil
}
