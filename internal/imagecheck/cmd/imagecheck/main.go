// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command imagecheck applies hvgo's rules of trap context to a linked program:
//
//	go run ./internal/imagecheck/cmd/imagecheck [-v] PROGRAM
//
// It is what hvgo build does after linking, by hand. It prints one line when all
// rules hold, and otherwise each broken one with the way to it; exit status 1.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/hvgo/hvgo/internal/imagecheck"
)

func main() {
	verbose := flag.Bool("v", false, "list the functions reached")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: imagecheck [-v] PROGRAM")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	start := time.Now()
	report, err := imagecheck.Check(flag.Arg(0), imagecheck.Trap(), imagecheck.Crash(), imagecheck.Boot())
	if report != nil && *verbose {
		for _, name := range report.Reached {
			fmt.Println(name)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d functions reached from %d entries; %d functions, %d instructions checked in %v\n",
		len(report.Reached), len(report.Roots), report.Functions, report.Instructions, time.Since(start).Round(time.Millisecond))
}
