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
	fmt.Fprintln(w, "WITNESS\tVERSION\tEXERCISED\tRESULT\tSECONDS")
	rows, bad := 0, 0
	for lines := bufio.NewScanner(f); ; {
		if !lines.Scan() {
			err = lines.Err()
			break
		}
		var r witness.Row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("%s, line %d: %w", path, rows+1, err)
		}
		rows++
		if r.Result != "passed" {
			bad++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f\n", r.Witness, r.Version, r.Exercised, r.Result, r.Seconds)
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
