// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix || solaris || aix

package vhdx

import "os"

// lock does nothing: this system has no lock that goes with an open file.
func lock(*os.File, bool) error { return nil }
