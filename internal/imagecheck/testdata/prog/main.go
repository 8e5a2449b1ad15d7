// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command prog breaks each rule of imagecheck once. It is built by the tests, never run.
package main

import (
	"os"

	"prog/other"
	"prog/trap"
)

func main() {
	if len(os.Args) > 100 {
		trap.All(len(os.Args))
		other.Halt()
		other.Tables()
	}
}
