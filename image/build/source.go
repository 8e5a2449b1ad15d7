// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
)

// source finds the folder of hvgo's module: the one asked for, the one that
// HVGO_SOURCE names, the module of the version that this command was installed
// from, or the checkout that it was built in.
func (g *goTool) source(ctx context.Context, asked string) (string, error) {
	for _, dir := range []string{asked, os.Getenv("HVGO_SOURCE")} {
		if dir == "" {
			continue
		}
		dir, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		if !g.isHvgo(ctx, dir) {
			return "", failf("%s does not hold hvgo's source (no go.mod of module %s)", dir, modulePath)
		}
		return dir, nil
	}
	if v := installedVersion(); v != "" {
		return g.download(ctx, v)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		if dir := filepath.Join(filepath.Dir(file), "..", ".."); g.isHvgo(ctx, dir) {
			return filepath.Clean(dir), nil
		}
	}
	return "", failf("hvgo's source is not where this command was built; set HVGO_SOURCE to a checkout of %s", modulePath)
}

func (g *goTool) isHvgo(ctx context.Context, dir string) bool {
	m, err := g.readModFile(ctx, "mod", filepath.Join(dir, "go.mod"))
	return err == nil && m.Module.Path == modulePath
}

// installedVersion is the version that go install took, "" for a checkout.
func installedVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != modulePath || info.Main.Sum == "" {
		return ""
	}
	return info.Main.Version
}

// download has the go command fetch hvgo's source, of the version given.
func (g *goTool) download(ctx context.Context, v string) (string, error) {
	out, words, err := g.run(ctx, os.TempDir(), []string{"GOWORK=off", "GOFLAGS="}, "mod", "download", "-json", modulePath+"@"+v)
	if err != nil {
		return "", orCancelled(ctx, &Error{"hvgo's source, " + modulePath + "@" + v + ", cannot be downloaded", words})
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil || m.Dir == "" {
		return "", failf("go mod download gave no folder for %s@%s", modulePath, v)
	}
	return m.Dir, nil
}
