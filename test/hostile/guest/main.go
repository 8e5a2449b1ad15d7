// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command hostile makes system calls with wrong arguments, as a guest and as a
// process on Linux: "table" prints what it was told, "random" and "race" only
// whether all went well.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/hvgo/hvgo/test/hostile"
)

func main() {
	what := flag.String("do", "table,random,race", "what to do, with commas between")
	seed := flag.Uint64("seed", 1, "of the random calls")
	n := flag.Int("n", 2000, "how many random calls, and how many calls of each racer")
	parent := flag.String("dir", "", "the folder to work in; empty: the temporary one")
	flag.IntVar(&hostile.PerPair, "pairs", hostile.PerPair, "calls with the same two arguments wrong, at most")
	flag.IntVar(&hostile.Every, "every", hostile.Every, "of \"table\", make each so many-th wrong call only")
	linux := flag.String("linux", "", "compare: what \"table\" printed on Linux")
	guest := flag.String("guest", "", "compare: what it printed as a guest")
	flag.Parse()
	if *linux != "" {
		os.Exit(compare(*linux, *guest))
	}
	for w := range strings.SplitSeq(*what, ",") {
		if err := do(w, *seed, *n, *parent); err != nil {
			fmt.Printf("hostile failed: %s: %v\n", w, err)
			os.Exit(1)
		}
		fmt.Printf("hostile did %s\n", w)
	}
}

func do(what string, seed uint64, n int, parent string) error {
	dir, err := os.MkdirTemp(parent, "hostile")
	if err != nil {
		return err
	}
	switch what {
	case "table":
		return hostile.Run(os.Stdout, dir)
	case "random":
		return hostile.Random(seed, n, dir)
	case "race":
		return hostile.Race(seed, n, dir)
	}
	return fmt.Errorf("there is no such thing to do")
}

// compare prints what differs between the output of two programs, and gives the
// exit status.
func compare(linux, guest string) int {
	var both [2]hostile.Answers
	for i, name := range []string{linux, guest} {
		f, err := os.Open(name)
		if err == nil {
			both[i], err = hostile.Parse(f)
			f.Close()
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "hostile: %s: %v\n", name, err)
			return 1
		}
	}
	wrong := hostile.Compare(both[0], both[1])
	for _, w := range wrong {
		fmt.Println(w)
	}
	return min(len(wrong), 1)
}
