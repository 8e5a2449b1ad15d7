// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	gvisor "gvisor.dev/gvisor/pkg/log"
)

// gvisorLog passes on what gVisor says. It warns of things that every busy
// machine sees, such as a client that uses a port again too soon, so all of it
// counts as detail.
type gvisorLog struct{ log *slog.Logger }

func (g gvisorLog) Emit(_ int, _ gvisor.Level, _ time.Time, format string, v ...any) {
	if g.log.Enabled(context.Background(), slog.LevelDebug) {
		g.log.Debug("netstack: " + fmt.Sprintf(format, v...))
	}
}

// takeGvisorLog keeps gVisor from writing to stderr itself; there is one log for
// all stacks of a process, and the first gets it.
var takeGvisorLog sync.Once
