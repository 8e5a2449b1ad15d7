// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/hvgo/hvgo/host/nested"
)

// hostCommands are the commands that run machines here.
func hostCommands() []*cobra.Command {
	return []*cobra.Command{newRun(), newTest(), newTestGuest(), newVMExec(), newVMTest()}
}

// runAsInit does not return when this process is PID 1 of an emulated machine.
func runAsInit() {
	if nested.IsInit() {
		nested.Init()
	}
}
