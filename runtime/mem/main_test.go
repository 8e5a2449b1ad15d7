// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if paging.live { // hvgo test: these are the page tables that the processor uses
		fmt.Println("skipping all tests: in a guest this package holds the test program's own memory, which the tests' machine would take away")
		flag.Parse()
		if err := flag.Set("test.skip", "."); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
