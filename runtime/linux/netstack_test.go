// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"github.com/hvgo/hvgo/netstack"
	"github.com/hvgo/hvgo/runtime/linux"
)

func init() {
	linux.SetOtherNetwork(func() (linux.Network, error) { return netstack.New(netstack.Options{}) })
}
