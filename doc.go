// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package hvgo is the one package that hvgo build links into a program: by
// importing it for its side effect, a Go program can boot as a virtual machine.
package hvgo

import "github.com/hvgo/hvgo/boot"

func init() { boot.Start() }
