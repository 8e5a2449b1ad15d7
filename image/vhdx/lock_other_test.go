// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix || solaris || aix

package vhdx

const lockWorks = false
