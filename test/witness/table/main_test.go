// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	const passed = `{"witness":"Linux","version":"6.1","exercised":"a","result":"passed","seconds":1.25}` + "\n"
	for _, tt := range []struct{ name, file, out, err string }{
		{"one", passed, "passed  1.2      Linux    6.1      a\n", ""},
		{"long", strings.Replace(passed, `"a"`, `"`+strings.Repeat("wordy ", 20)+`"`, 1), "\n" + strings.Repeat(" ", 35) + "wordy", ""},
		{"failed", passed + strings.Replace(passed, "passed", "failed", 1), "failed", "1 of 2 did not pass"},
		{"skipped", strings.Replace(passed, "passed", "skipped", 1), "skipped", "1 of 1 did not pass"},
		{"empty", "", "RESULT", "no test has met a witness"},
		{"damaged", passed + "{\n", "", "line 2"},
	} {
		path := filepath.Join(t.TempDir(), "table")
		if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		err := run(path, &out)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.err)
		}
		if !strings.Contains(out.String(), tt.out) {
			t.Errorf("%s: table is %q, without %q", tt.name, out.String(), tt.out)
		}
	}
	if err := run(filepath.Join(t.TempDir(), "none"), &strings.Builder{}); err == nil {
		t.Error("a table that is not there passes")
	}
}
