// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package quirk

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/netvsp"
)

// Host is what quirks change.
type Host struct {
	Guest   *guest.Config
	Network *netvsp.Options
}

// Quirk is a habit of some host.
type Quirk struct {
	Name, Text string

	needs string // other quirks that come with it, separated by commas
	kind  string // of those that exclude each other; "" is none
	apply func(Host)
}

// Set is a choice of quirks, each once. Nil is none.
type Set []Quirk

// Parse reads names separated by commas.
func Parse(names string) (Set, error) {
	var s Set
	for name := range strings.SplitSeq(names, ",") {
		if name == "" {
			continue
		}
		if err := s.add(name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// ErrUnknown is in the chain of Parse's error for a name that is none.
var ErrUnknown = errors.New("unknown quirk")

func (s *Set) add(name string) error {
	if slices.ContainsFunc(*s, func(q Quirk) bool { return q.Name == name }) {
		return nil
	}
	i := slices.IndexFunc(All, func(q Quirk) bool { return q.Name == name })
	if i < 0 {
		return fmt.Errorf("%w %q: it is one of %s", ErrUnknown, name, strings.Join(Names(), ", "))
	}
	q := All[i]
	for _, other := range *s {
		if q.kind != "" && q.kind == other.kind {
			return fmt.Errorf("quirks %s and %s contradict each other", other.Name, q.Name)
		}
	}
	*s = append(*s, q)
	for need := range strings.SplitSeq(q.needs, ",") {
		if need == "" {
			continue
		}
		if err := s.add(need); err != nil {
			return err
		}
	}
	return nil
}

// Names lists all quirks.
func Names() (names []string) {
	for _, q := range All {
		names = append(names, q.Name)
	}
	return names
}

// String returns the names as Parse reads them.
func (s Set) String() string {
	var names []string
	for _, q := range s {
		names = append(names, q.Name)
	}
	return strings.Join(names, ",")
}

// Apply changes a host that is not yet made.
func (s Set) Apply(h Host) {
	for _, q := range s {
		if q.apply != nil {
			q.apply(h)
		}
	}
}
