// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command hvgo builds virtual machines out of Go programs and runs them.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func main() {
	runAsInit()
	os.Exit(execute(os.Args[1:]))
}

// execute runs the command line and returns the exit status.
func execute(args []string) int {
	root := newRoot()
	root.SetArgs(goFlags(args))
	err := root.Execute()
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintln(os.Stderr, "hvgo:", plain(err.Error()))
	return 1
}

// plain puts into our words what cobra says of flags that exclude each other, and of
// an unknown command. Other texts stay.
func plain(text string) string {
	if rest, found := strings.CutPrefix(text, "if any flags in the group ["); found {
		_, set, _ := strings.Cut(rest, "; [")
		set, _, _ = strings.Cut(set, "]")
		names := strings.Fields(set)
		last := len(names) - 1
		return "--" + strings.Join(names[:last], ", --") + " and --" + names[last] + " contradict each other"
	}
	if !strings.HasPrefix(text, "unknown command ") {
		return text
	}
	text, alike, _ := strings.Cut(text, "\n\nDid you mean this?\n")
	if names := strings.Fields(alike); len(names) > 0 {
		text += ": did you mean " + strings.Join(names, " or ") + "?"
	}
	return text + ": see hvgo --help"
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "hvgo",
		Short:         "Go programs as virtual machines for Hyper-V",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		text, _, _ := strings.Cut(err.Error(), ": strconv.") // names of Go's functions
		return fmt.Errorf("%s: see %s --help", text, cmd.CommandPath())
	})
	// Each file of this folder that has commands appends them here.
	root.AddCommand(newBuildCmd())
	root.AddCommand(newRecordCmd())
	root.AddCommand(hostCommands()...)
	return root
}

// exitStatus is an error that has been reported already, or needs no words: it
// only sets hvgo's exit status.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }
