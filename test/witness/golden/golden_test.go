// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/test/witness"
)

// recordings are Linux's sides of the conversation.
func recordings(t *testing.T) map[string][]record.Record {
	t.Helper()
	names, err := filepath.Glob("testdata/linux-*.rec.gz")
	if err != nil || len(names) != 4 {
		t.Fatalf("recordings %q, %v: want two kernels with one and two processors", names, err)
	}
	all := map[string][]record.Record{}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".rec.gz")] = read(t, z)
	}
	return all
}

// TestAgainstLinux compares our drivers with all recordings of Linux.
func TestAgainstLinux(t *testing.T) {
	row := witness.Start(t, "Debian Linux, recorded", "our drivers' messages compared with Linux's, field by field")
	ours := split(recordOurs(t))
	used := map[int]bool{}
	messages, differences := 0, 0
	var kernels []string
	for name, records := range recordings(t) {
		linux := split(records)
		for _, d := range compare(linux, ours) {
			differences++
			if i := explain(explanations, d); i >= 0 {
				used[i] = true
			} else if explain(chances, d) < 0 {
				t.Errorf("%s: not explained: %v", name, d)
			}
		}
		for _, s := range linux {
			messages += len(s)
		}
		kernels = append(kernels, strings.TrimPrefix(name, "linux-"))
	}
	for i, e := range explanations {
		if !used[i] {
			t.Errorf("this explains nothing any more, remove it: %v (%s)", e.difference, e.why)
		}
	}
	row.SetVersion("6.12 and 6.1")
	row.SetExercised(fmt.Sprintf("%d messages of %d recordings (VMBus, StorVSC, NetVSC with RNDIS, shutdown) compared with our drivers', field by field: %d differences, all explained",
		messages, len(kernels), differences))
}

// explain finds the explanation of a difference, -1 if there is none.
func explain(list []explanation, d difference) int {
	for i, e := range list {
		if d.matches(e.difference) {
			return i
		}
	}
	return -1
}
