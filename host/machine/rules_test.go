// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/RULES.md tells each rule that the host has, and no other.
func TestRulesAreTold(t *testing.T) {
	doc, err := os.ReadFile("../../docs/RULES.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(doc), -1) {
		told = append(told, m[1])
	}
	files, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	rule := regexp.MustCompile(`(?m)^\s*Rule\w+\s*=\s*"([^"]+)"`)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range rule.FindAllStringSubmatch(string(b), -1) {
			if slices.Contains(rules, m[1]) {
				t.Errorf("%s: a second rule %s", name, m[1])
			}
			rules = append(rules, m[1])
		}
	}
	if len(rules) < 40 {
		t.Errorf("found %d rules only", len(rules))
	}
	slices.Sort(rules)
	slices.Sort(told)
	if !slices.Equal(rules, told) {
		t.Errorf("rules %q\ntold  %q", rules, told)
	}
}
