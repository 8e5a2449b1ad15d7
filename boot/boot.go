// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"fmt"
	"os"
)

// Start finds the machine's devices and plugs them into the Linux ABI. It is
// called before main.main; in a program that was started by Linux it does
// nothing.
func Start() {
	if !Machine.Booted {
		return
	}
	plugTrapSide()
	fmt.Fprintln(os.Stderr, "hvgo: up")
}
