// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/hvgo/hvgo/host/vmm"
)

// ErrRules is in the chain of Run's error when the guest broke rules that nobody
// else was told about.
var ErrRules = errors.New("the guest broke rules")

// maxRules bounds what Run's error names.
const maxRules = 20

// broken collects rules for Run's error.
type broken struct {
	mu    sync.Mutex
	rules []string
	more  int
}

func (b *broken) add(rule, detail string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rules) == maxRules {
		b.more++
		return
	}
	b.rules = append(b.rules, rule+": "+detail)
}

// err names the rules so far.
func (b *broken) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rules) == 0 {
		return nil
	}
	text := strings.Join(b.rules, "\n")
	if b.more > 0 {
		text += fmt.Sprintf("\nand %d more", b.more)
	}
	return fmt.Errorf("%w:\n%s", ErrRules, text)
}

// join makes one report of all parts' rules.
func (m *Machine) join(cfg *Config) {
	m.lenient = cfg.Lenient
	switch {
	case cfg.Lenient:
		cfg.Strict = nil
		return
	case cfg.Strict == nil:
		cfg.Strict = m.broken.add
	}
	own := cfg.VMBus.Strict
	cfg.VMBus.Strict = func(rule, detail string) {
		cfg.Strict(rule, detail)
		if own != nil {
			own(rule, detail)
		}
	}
}

// ended checks what a guest must have done before it switches the machine off or
// resets it. A guest that crashed need not, and a lenient host has nothing to lose.
func (m *Machine) ended(e Exit) {
	if !m.lenient && (e.Kind == vmm.Shutdown || e.Kind == vmm.Reset) {
		m.hv.Ended()
		m.bus.Ended()
	}
}
