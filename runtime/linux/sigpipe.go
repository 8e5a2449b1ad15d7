// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import "syscall"

// Raise sends a signal to the program. boot sets it.
var Raise = func(sig int) {}

// raisePipe sends the signal that comes with EPIPE from a pipe or a stream, unless MSG_NOSIGNAL forbids it.
// Go's runtime throws it away, except for those who ask (os/signal).
func raisePipe(s stream, e syscall.Errno) {
	if e != syscall.EPIPE {
		return
	}
	if s, ok := s.(*socket); ok && s.typ != syscall.SOCK_STREAM {
		return
	}
	Raise(int(syscall.SIGPIPE))
}
