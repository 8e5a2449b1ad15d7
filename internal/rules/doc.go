// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package rules holds the house rules as tests: where unsafe and assembly may
// be, who imports whom, and how a file looks. It has no code of its own.
package rules
