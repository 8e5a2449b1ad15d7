// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package debian

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// CacheDir makes a folder in the user's cache and returns its path.
func CacheDir(name string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep Debian's packages in: %w", err)
	}
	dir := filepath.Join(base, "hvgo", name)
	return dir, os.MkdirAll(dir, 0o755)
}

// Lock keeps two processes from filling a folder at the same time. It waits.
func Lock(dir string) (unlock func(), err error) {
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

// Output runs a tool in a folder and returns what it prints; an error holds the
// last line of what it complained about.
func Output(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		last := LastLine(stderr.Bytes())
		if ctx.Err() != nil {
			last = ctx.Err().Error()
		}
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args[:min(1, len(args))], ""), err, last)
	}
	return out, nil
}

// LastLine returns the last line of b that is not empty.
func LastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		b = b[i+1:]
	}
	return strings.TrimSpace(string(b))
}
