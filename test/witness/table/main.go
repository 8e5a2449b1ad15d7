// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command table prints the rows that tests wrote down (package witness). It fails
// when one did not pass, or when there is none.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/hvgo/hvgo/test/witness"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: table FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "witness table:", err)
		os.Exit(1)
	}
}

func run(path string, out io.Writer) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("no test has met a witness")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "RESULT\tSECONDS\tWITNESS\tVERSION\tEXERCISED")
	rows, bad := 0, 0
	for in := bufio.NewScanner(f); ; {
		if !in.Scan() {
			err = in.Err()
			break
		}
		var r witness.Row
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			return fmt.Errorf("%s, line %d: %w", path, rows+1, err)
		}
		rows++
		if r.Result != "passed" {
			bad++
		}
		lines := wrap(r.Exercised, textWidth)
		fmt.Fprintf(w, "%s\t%.1f\t%s\t%s\t%s\n", r.Result, r.Seconds, r.Witness, r.Version, lines[0])
		for _, line := range lines[1:] {
			fmt.Fprintf(w, "\t\t\t\t%s\n", line)
		}
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	switch {
	case rows == 0:
		return errors.New("no test has met a witness")
	case bad > 0:
		return fmt.Errorf("%d of %d did not pass", bad, rows)
	}
	return nil
}

// textWidth is the width of the last column, so that the table fits into the log of
// a machine without a terminal.
const textWidth = 84

// wrap breaks text between words into lines of at most width bytes, where the words
// allow it. There is one line at least.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
