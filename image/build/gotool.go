// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// minGo is the oldest Go release whose linker and runtime hvgo knows.
const minGo = "go1.26"

// goTool is an installed Go toolchain, as it sees a folder.
type goTool struct {
	path string
	dir  string
	env  struct{ GOVERSION, GOROOT, GOMOD, GOWORK, GOFLAGS, GOMODCACHE string }
}

// findGo finds the go command, in PATH or in GOROOT, and asks it where it is.
func findGo(ctx context.Context, dir string) (*goTool, error) {
	if dir == "" {
		var err error
		if dir, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	p, err := exec.LookPath("go")
	if err != nil {
		root := os.Getenv("GOROOT")
		if p, err = exec.LookPath(filepath.Join(root, "bin", "go")); root == "" || err != nil {
			return nil, failf("no Go toolchain found: install Go %s or later (https://go.dev/dl/) and put its bin folder into PATH", minGo[2:])
		}
	}
	if p, err = filepath.Abs(p); err != nil {
		return nil, err
	}
	g := &goTool{path: p, dir: dir}
	out, words, err := g.run(ctx, dir, nil, "env", "-json", "GOVERSION", "GOROOT", "GOMOD", "GOWORK", "GOFLAGS", "GOMODCACHE")
	if err != nil {
		return nil, orCancelled(ctx, &Error{"the Go toolchain " + p + " cannot be used here", words})
	}
	if err := json.Unmarshal(out, &g.env); err != nil {
		return nil, failf("the Go toolchain %s gave no sensible answer: %v", p, err)
	}
	if v := g.version(); v == "" || version.Compare(v, minGo) < 0 {
		return nil, failf("Go %s or later is needed; %s is %s", minGo[2:], p, g.env.GOVERSION)
	}
	return g, nil
}

// version is the release, such as go1.26.8, of a released or development
// toolchain.
func (g *goTool) version() string {
	for _, w := range strings.Fields(g.env.GOVERSION) {
		w, _, _ = strings.Cut(w, "-")
		if version.IsValid(w) {
			return w
		}
	}
	return ""
}

// run runs the go command for a Linux guest. Words are what it said about an
// error.
func (g *goTool) run(ctx context.Context, dir string, env []string, args ...string) (out []byte, words string, err error) {
	cmd := g.command(ctx, dir, append([]string{"GOOS=linux", "GOARCH=amd64"}, env...), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	words = strings.TrimSpace(stderr.String())
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && (words == "" || !errors.As(err, &exit)) {
		words = strings.TrimSpace(words + "\n" + err.Error())
	}
	return stdout.Bytes(), words, err
}

// command is the go command, which gets 5 s to end when ctx does.
func (g *goTool) command(ctx context.Context, dir string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GO111MODULE=on", "PWD="+dir)
	cmd.Env = append(cmd.Env, env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// orCancelled prefers the end of ctx over an error that it caused.
func orCancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// flags are the user's GOFLAGS without those that a workspace or our overlay
// does not go with.
func (g *goTool) flags() string {
	var keep []string
	for _, f := range strings.Fields(g.env.GOFLAGS) {
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		switch name {
		case "mod", "modfile", "overlay", "buildmode", "o":
		default:
			keep = append(keep, f)
		}
	}
	return strings.Join(keep, " ")
}
