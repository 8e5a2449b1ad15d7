// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package synic has one program (folder guest) check the hypervisor's part of two
// hosts from inside: QEMU, with its hyperv-testdev, and the project's own test host.
// Both must give the same result for each check.
//
// What is checked are the facts that kvm-unit-tests states in hyperv_synic,
// hyperv_connections, hyperv_stimer and hyperv_clock, and Linux's selftests in
// hyperv_features and hyperv_clock, as far as a guest can see them; in words and
// code of this project.
package synic

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Result is how a check ended.
type Result string

// The words of the guest's lines.
const (
	OK     Result = "ok"
	Failed Result = "FAIL"
	NotRun Result = "not run"
)

// Check is a line of the guest's.
type Check struct {
	Name   string
	Result Result
	Detail string // what was found, what is wrong, or why it was not run
}

// String is the line again.
func (c Check) String() string {
	if c.Detail == "" {
		return fmt.Sprintf("%s %s", c.Result, c.Name)
	}
	return fmt.Sprintf("%s %s: %s", c.Result, c.Name, c.Detail)
}

// Results are all checks of a run, in their order.
type Results struct{ Checks []Check }

// Counts returns how many checks ended how.
func (r *Results) Counts() (ok, failed, notRun int) {
	for _, c := range r.Checks {
		switch c.Result {
		case OK:
			ok++
		case Failed:
			failed++
		case NotRun:
			notRun++
		}
	}
	return ok, failed, notRun
}

var (
	checkLine   = regexp.MustCompile(`^synic: (ok|FAIL|not run) (.*)$`)
	summaryLine = regexp.MustCompile(`^synic: done: (\d+) checks: (\d+) ok, (\d+) failed, (\d+) not run$`)
)

// Parse reads a guest's console. It is an error when the guest did not come to its
// end, or the summary does not agree with the lines.
func Parse(console string) (*Results, error) {
	r, seen := &Results{}, map[string]bool{}
	for line := range strings.Lines(console) {
		line = strings.TrimRight(line, "\r\n")
		if m := summaryLine.FindStringSubmatch(line); m != nil {
			return r, r.agrees(m[1:])
		}
		m := checkLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name, detail, _ := strings.Cut(m[2], ": ")
		if seen[name] {
			return nil, fmt.Errorf("two results of %q", name)
		}
		seen[name] = true
		r.Checks = append(r.Checks, Check{name, Result(m[1]), detail})
	}
	return nil, errors.New("the guest did not come to the end of its checks")
}

func (r *Results) agrees(numbers []string) error {
	ok, failed, notRun := r.Counts()
	for i, n := range []int{len(r.Checks), ok, failed, notRun} {
		if said, err := strconv.Atoi(numbers[i]); err != nil || said != n {
			return fmt.Errorf("the guest says %s, its lines are %d", strings.Join(numbers, "/"), n)
		}
	}
	return nil
}

// Differ lists the checks whose results are not the same in both runs.
func Differ(aName string, a *Results, bName string, b *Results) (differences []string) {
	of := map[string]Check{}
	for _, c := range b.Checks {
		of[c.Name] = c
	}
	for _, c := range a.Checks {
		other, ok := of[c.Name]
		delete(of, c.Name)
		switch {
		case !ok:
			differences = append(differences, fmt.Sprintf("%s: %v; %s does not know it", aName, c, bName))
		case other.Result != c.Result:
			differences = append(differences, fmt.Sprintf("%s: %v; %s: %v", aName, c, bName, other))
		}
	}
	for _, c := range b.Checks {
		if _, left := of[c.Name]; left {
			differences = append(differences, fmt.Sprintf("%s: %v; %s does not know it", bName, c, aName))
		}
	}
	return differences
}

// DifferInDetail lists the checks that passed on both hosts with different findings,
// such as another status for the same refusal.
func DifferInDetail(aName string, a *Results, bName string, b *Results) (differences []string) {
	of := map[string]Check{}
	for _, c := range b.Checks {
		of[c.Name] = c
	}
	for _, c := range a.Checks {
		if other := of[c.Name]; c.Result == OK && other.Result == OK && other.Detail != c.Detail {
			differences = append(differences, fmt.Sprintf("%s: %s: %s, %s: %s", c.Name, aName, c.Detail, bName, other.Detail))
		}
	}
	return differences
}
