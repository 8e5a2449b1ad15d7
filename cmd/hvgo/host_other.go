// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "github.com/spf13/cobra"

// The test host needs Linux's KVM; images are built anywhere.
func hostCommands() []*cobra.Command { return nil }

func runAsInit() {}
