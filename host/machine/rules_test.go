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

// docs/RULES.md tells each rule that the host has, and no other; each is reported
// somewhere, and tested.
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
	var rules, names []string
	rule := regexp.MustCompile(`(?m)^\s*(Rule\w+)\s*=\s*"([^"]+)"`)
	word := regexp.MustCompile(`\bRule\w+`)
	reported, tested := map[string]int{}, map[string]int{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		uses := reported
		if strings.HasSuffix(name, "_test.go") {
			uses = tested
		}
		for _, w := range word.FindAllString(string(b), -1) {
			uses[w]++
		}
		for _, m := range rule.FindAllStringSubmatch(string(b), -1) {
			if slices.Contains(rules, m[2]) {
				t.Errorf("%s: a second rule %s", name, m[2])
			}
			rules, names = append(rules, m[2]), append(names, m[1])
		}
	}
	for _, name := range names {
		if reported[name] < 2 || tested[name] == 0 { // its declaration is one
			t.Errorf("%s is named %d times in the source, and %d times in tests", name, reported[name], tested[name])
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
