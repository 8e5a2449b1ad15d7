// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package nested

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Share is a folder that has the same absolute path inside and outside.
type Share struct {
	Path     string
	Writable bool
}

// ownFolders are the inside's own; sharing them would break it.
var ownFolders = []string{"/", "/dev", "/proc", "/sys", "/init", "/modules", "/run", "/etc"}

// cleanShares makes the paths absolute and drops shares that lie in another one
// with at least the same rights. The result has outer folders before inner
// ones, which is the order to mount them in.
func cleanShares(in []Share) ([]Share, error) {
	var all []Share
	for _, s := range in {
		abs, err := filepath.Abs(s.Path)
		if err != nil {
			return nil, fmt.Errorf("share %s: %w", s.Path, err)
		}
		fi, err := os.Stat(abs)
		if err != nil {
			return nil, fmt.Errorf("share: %w", err)
		}
		if !fi.IsDir() {
			return nil, fmt.Errorf("share %s: not a folder", s.Path)
		}
		for _, own := range ownFolders {
			if abs == own || own != "/" && strings.HasPrefix(abs, own+"/") {
				return nil, fmt.Errorf("%s cannot be shared: the emulated machine has its own", abs)
			}
		}
		all = append(all, Share{abs, s.Writable})
	}
	slices.SortStableFunc(all, func(a, b Share) int {
		if d := len(a.Path) - len(b.Path); d != 0 {
			return d
		}
		if a.Writable && !b.Writable {
			return -1 // the same folder twice: the stronger one counts
		}
		return 0
	})
	var out []Share
	for _, s := range all {
		covered := slices.ContainsFunc(out, func(o Share) bool {
			in := s.Path == o.Path || strings.HasPrefix(s.Path, o.Path+"/")
			return in && (o.Writable || !s.Writable)
		})
		if !covered {
			out = append(out, s)
		}
	}
	return out, nil
}
