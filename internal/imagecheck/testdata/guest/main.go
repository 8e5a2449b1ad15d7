// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command guest is a program with hvgo's runtime in it, as hvgo build links it.
package main

import _ "github.com/hvgo/hvgo"

func main() {}
