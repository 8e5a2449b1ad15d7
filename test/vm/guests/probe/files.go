// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// files does with /tmp what programs do with folders of their own.
func files([]string) (_ string, err error) {
	dir, err := os.MkdirTemp("", "files")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if !strings.HasPrefix(dir, "/tmp/") {
		return "", fmt.Errorf("the temporary folder is %s", dir)
	}
	for _, step := range []func(dir string) error{writeFile, makeTree, linkFiles, manyFiles} {
		if err := step(dir); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func writeFile(dir string) error {
	name := filepath.Join(dir, "file")
	text := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	if err := os.WriteFile(name, text, 0o640); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString("end"); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Truncate(int64(len(text))+1)); err != nil {
		return err
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != string(text)+"e" {
		return fmt.Errorf("%d bytes came back of %d: %w", len(got), len(text)+1, err)
	}
	if at, err := f.Seek(-1, io.SeekEnd); err != nil || at != int64(len(text)) {
		return fmt.Errorf("seek: %d, %w", at, err)
	}
	fi, err := f.Stat()
	if err != nil || fi.Size() != int64(len(got)) || fi.Mode() != 0o640 || time.Since(fi.ModTime()) > time.Hour {
		return fmt.Errorf("stat: %+v, %w", fi, err)
	}
	if _, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("exclusive creation of a file that exists: %v", err)
	}
	if _, err := os.Open(name + "x"); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("a file that is not there: %v", err)
	}
	return nil
}

func makeTree(dir string) error {
	deep := filepath.Join(dir, "a", "b", "c")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(deep, "leaf"), []byte("x"), 0o600); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, "a")); err == nil {
		return errors.New("a folder that is not empty was removed")
	}
	if err := os.Rename(filepath.Join(dir, "a", "b"), filepath.Join(dir, "moved")); err != nil {
		return err
	}
	var seen []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, _ fs.DirEntry, err error) error {
		seen = append(seen, path)
		return err
	})
	if want := []string{".", "a", "file", "moved", "moved/c", "moved/c/leaf"}; err != nil || !slices.Equal(seen, want) {
		return fmt.Errorf("the folder holds %q: %w", seen, err)
	}
	return nil
}

func linkFiles(dir string) error {
	soft, hard := filepath.Join(dir, "soft"), filepath.Join(dir, "hard")
	if err := errors.Join(os.Symlink("moved/c/leaf", soft), os.Link(filepath.Join(dir, "file"), hard)); err != nil {
		return err
	}
	if b, err := os.ReadFile(soft); err != nil || string(b) != "x" {
		return fmt.Errorf("through a symbolic link: %q, %w", b, err)
	}
	a, err1 := os.Stat(hard)
	b, err2 := os.Stat(filepath.Join(dir, "file"))
	if err := errors.Join(err1, err2); err != nil || !os.SameFile(a, b) {
		return fmt.Errorf("hard link: %w", err)
	}
	return nil
}

func manyFiles(dir string) error {
	const n = 300
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, "a", fmt.Sprint(i)), []byte{byte(i)}, 0o600); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "a"))
	if err != nil || len(entries) != n {
		return fmt.Errorf("%d files of %d: %w", len(entries), n, err)
	}
	return nil
}

// procFiles reads the files that tell about machine and process.
func procFiles([]string) (string, error) {
	for name, want := range map[string]string{
		"/proc/self/status":            "Name:\t",
		"/proc/self/cmdline":           "\x00",
		"/proc/self/mounts":            "tmpfs / ",
		"/proc/meminfo":                "MemTotal:",
		"/proc/cpuinfo":                "processor",
		"/proc/stat":                   "cpu ",
		"/proc/uptime":                 ".",
		"/proc/sys/net/core/somaxconn": "\n",
		"/proc/version":                "Linux version",
		"/etc/hosts":                   "localhost",
		"/etc/resolv.conf":             "",
		"/etc/passwd":                  "root",
		"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size": "2097152",
	} {
		if b, err := os.ReadFile(name); err != nil || !strings.Contains(string(b), want) {
			return "", fmt.Errorf("%s: %q: %w", name, b, err)
		}
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "", fmt.Errorf("host name %q: %w", host, err)
	}
	exe, err1 := os.Executable()
	wd, err2 := os.Getwd()
	if err := errors.Join(err1, err2); err != nil || exe == "" || wd != "/" {
		return "", fmt.Errorf("program %q in %q: %w", exe, wd, err)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil || len(fds) < 3 {
		return "", fmt.Errorf("/proc/self/fd: %v: %w", fds, err)
	}
	return fmt.Sprintf("host %s, program %s, %d descriptors", host, exe, len(fds)), nil
}

// devices uses the few files of /dev.
func devices([]string) (string, error) {
	zero, err := os.Open("/dev/zero")
	if err != nil {
		return "", err
	}
	defer zero.Close()
	b := bytes.Repeat([]byte{1}, 10000)
	if _, err := io.ReadFull(zero, b); err != nil || bytes.Count(b, []byte{0}) != len(b) {
		return "", fmt.Errorf("/dev/zero: %w", err)
	}
	if err := os.WriteFile("/dev/null", b, 0); err != nil {
		return "", err
	}
	random, err := os.Open("/dev/urandom")
	if err != nil {
		return "", err
	}
	defer random.Close()
	seen := map[[16]byte]bool{}
	for i := range 100 {
		var k [16]byte
		in := io.Reader(random)
		if i%2 == 0 {
			in = rand.Reader
		}
		if _, err := io.ReadFull(in, k[:]); err != nil {
			return "", err
		}
		if seen[k] || k == ([16]byte{}) {
			return "", errors.New("the random numbers are not")
		}
		seen[k] = true
	}
	return "null, zero, urandom", nil
}

// pipes passes data through pipes, with readers that wait, give up, and leave.
// closeAll closes all descriptors but the standard ones, as programs do before they
// start another: by one call, one by one, and by putting others in their place. What the
// runtime itself works with is none of them.
func closeAll([]string) (string, error) {
	if err := unix.CloseRange(3, math.MaxUint32, 0); err != nil {
		return "", err
	}
	const most = 20000 // more than there can be
	for fd := 3; fd < most; fd++ {
		if err := unix.Close(fd); err != unix.EBADF {
			return "", fmt.Errorf("close of %d behind close_range: %v", fd, err)
		}
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return "", err
	}
	for fd := int(limit.Max); fd < most; fd++ {
		if err := unix.Dup2(0, fd); err != unix.EBADF {
			return "", fmt.Errorf("dup2 to %d: %v", fd, err)
		}
		if dup, err := unix.Dup(fd); err != unix.EBADF {
			return "", fmt.Errorf("dup of %d: %d, %v", fd, dup, err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0); err != unix.EBADF {
			return "", fmt.Errorf("F_SETFL of %d: %v", fd, err)
		}
	}
	f, err := os.Open("/proc/self/fd")
	if err != nil {
		return "", err
	}
	defer f.Close()
	open, err := f.Readdirnames(-1)
	if len(open) != 4 || f.Fd() != 3 {
		err = errors.Join(err, fmt.Errorf("open are %q, the newest is %d", open, f.Fd()))
	}
	return fmt.Sprintf("open are %q", open), err
}

func pipes([]string) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	const total = 1 << 20
	go func() {
		defer w.Close()
		b := bytes.Repeat([]byte{'x'}, 3000)
		for n := 0; n < total; {
			k, err := w.Write(b[:min(len(b), total-n)])
			if err != nil {
				return
			}
			n += k
		}
	}()
	if n, err := io.Copy(io.Discard, r); err != nil || n != total {
		return "", fmt.Errorf("%d bytes of %d: %w", n, total, err)
	}
	if err := r.Close(); err != nil {
		return "", err
	}
	if r, w, err = os.Pipe(); err != nil {
		return "", err
	}
	defer w.Close()
	if err := r.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		return "", err
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		return "", fmt.Errorf("read from an empty pipe: %v", err)
	}
	if err := r.Close(); err != nil {
		return "", err
	}
	if _, err := w.Write([]byte("x")); err == nil {
		return "", errors.New("write to a pipe without reader succeeds")
	}
	return "1 MiB", nil
}
