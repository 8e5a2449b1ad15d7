// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package debian fetches Debian's kernels without installing them, once, and keeps
// what is needed of them in the user's cache: for the emulated machine (host/nested),
// and as guests nobody here wrote (test/witness/linux).
//
//	apt-get download -> dpkg -x -> vmlinuz and modules in ~/.cache/hvgo/linux-v2/PACKAGE
//
// A newer package on Debian's servers is not looked for once there is one: a test
// should not change its ground by itself. Removing the folder gets the newest.
package debian
