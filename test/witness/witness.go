// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package witness writes down what was checked against something that nobody here
// wrote: a test that meets such a witness adds a row, and `make witness` prints
// the table of all rows (docs/WITNESSES.md says what each one is worth).
package witness

import (
	"encoding/json"
	"os"
	"sync"
	"testing"
	"time"
)

// TableEnv names the file, one JSON object a line, that rows are added to. Without
// it rows go to the test's log only.
const TableEnv = "HVGO_WITNESS_TABLE"

// Row is a line of the table.
type Row struct {
	Witness   string  `json:"witness"`   // whom our side met: "Debian Linux", "QEMU vmbus-bridge"
	Version   string  `json:"version"`   // as the witness itself says it
	Exercised string  `json:"exercised"` // what both sides did, with figures
	Result    string  `json:"result"`    // passed, failed, skipped
	Seconds   float64 `json:"seconds"`

	mu sync.Mutex // guards the fields above until the test ends
}

// Start begins a row; it is written when the test ends, with the test's result.
func Start(t testing.TB, witness, exercised string) *Row {
	r := &Row{Witness: witness, Version: "unknown", Exercised: exercised}
	start := time.Now()
	t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Seconds = time.Since(start).Seconds()
		switch {
		case t.Failed():
			r.Result = "failed"
		case t.Skipped():
			r.Result = "skipped"
		default:
			r.Result = "passed"
		}
		if err := r.write(); err != nil {
			t.Errorf("witness table: %v", err)
		}
		t.Logf("witness: %s %s: %s: %s (%.1f s)", r.Witness, r.Version, r.Exercised, r.Result, r.Seconds)
	})
	return r
}

// SetVersion says which version of the witness was met.
func (r *Row) SetVersion(v string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Version = v
}

// SetExercised replaces what was exercised, once figures are known.
func (r *Row) SetExercised(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Exercised = what
}

func (r *Row) write() (err error) {
	path := os.Getenv(TableEnv)
	if path == "" {
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	_, err = f.Write(append(b, '\n'))
	return err
}
