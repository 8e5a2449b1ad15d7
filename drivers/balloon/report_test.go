// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import (
	"fmt"
	"testing"
	"time"

	"github.com/hvgo/hvgo/internal/wire/dynmem"
)

// TestReportsBetweenSeconds: none comes whole seconds after the capabilities were
// agreed to, when QEMU's own timers run out.
func TestReportsBetweenSeconds(t *testing.T) {
	perform(t, func(s *stage) error {
		start := time.Now()
		if err := s.agree(); err != nil {
			return err
		}
		for n := range 2 {
			if _, err := s.next(dynmem.MsgStatusReport); err != nil {
				return err
			}
			if after := time.Since(start); after < time.Duration(n)*reportInterval+reportInterval/4 {
				return fmt.Errorf("report %d came %v after the capabilities", n, after)
			}
		}
		return nil
	})
}
