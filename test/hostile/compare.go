// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Answers are what calls gave, by the call's name, in the order of its choices.
type Answers map[string][]string

// ErrUnfinished says that a program did not come to the end of its calls.
var ErrUnfinished = errors.New("hostile: the answers end before the calls do")

// mostAnswers is more than any call has.
const mostAnswers = 10000

// Parse reads what [Run] wrote, between lines of others.
func Parse(r io.Reader) (Answers, error) {
	a := Answers{}
	ended := false
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "hostile: ")
		name, answers, isCall := strings.Cut(line, ":")
		switch {
		case ok && line == "end":
			ended = true
		case ok && isCall:
			for _, answer := range strings.Fields(answers) {
				answer, number, several := strings.Cut(answer, "*")
				if !several {
					number = "1"
				}
				n, err := strconv.Atoi(number)
				if err != nil || n < 1 || n > mostAnswers {
					return nil, fmt.Errorf("hostile: %s of %s is no number of answers", number, name)
				}
				a[name] = append(a[name], slices.Repeat([]string{answer}, n)...)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	for i := range calls {
		c := &calls[i]
		if got, want := len(a[c.name]), len(c.choices()); got != want {
			at := "is not complete"
			if got < want {
				at = "stopped at " + c.describe(c.choices()[got])
			}
			return a, fmt.Errorf("%w: %s has %d answers of %d: %s", ErrUnfinished, c.name, got, want, at)
		}
	}
	if !ended {
		return a, ErrUnfinished
	}
	return a, nil
}

// Compare gives a line for each call that hvgo answers otherwise than Linux, and
// for which no difference is listed; and one for each listed difference that
// there is not, if both made all calls and Linux's version cannot be why. Where two
// arguments are wrong any errno will do that Linux gives to the call.
func Compare(linux, hvgo Answers) (wrong []string) {
	used := make([]int, len(differences))
	whole := true
	for i := range calls {
		c := &calls[i]
		for k, ch := range c.choices() {
			l, h := linux[c.name][k], hvgo[c.name][k]
			if l == leftOut || h == leftOut {
				whole = false
				continue
			}
			if l == h || isError(l) && isError(h) && linux.either(c, ch, h) {
				continue
			}
			if d := explained(differences, c, ch, l, h); d >= 0 {
				used[d]++
				continue
			}
			if ch.count() > 1 && (isError(l) && isError(h) && slices.Contains(linux[c.name], h) || explained(together, c, ch, l, h) >= 0) {
				continue
			}
			wrong = append(wrong, fmt.Sprintf("%s: Linux %s, hvgo %s", c.describe(ch), l, h))
		}
	}
	for i, n := range used {
		if n == 0 && whole && differences[i].since == "" {
			wrong = append(wrong, fmt.Sprintf("difference %+v is listed, and there is none", differences[i]))
		}
	}
	return wrong
}

// isError says whether an answer is an errno.
func isError(answer string) bool { return strings.HasPrefix(answer, "E") }

// either says whether Linux gives that errno when one of a call's wrong arguments is
// right, or all are. Which of two errors is told is nobody's promise.
func (a Answers) either(c *call, ch choice, errno string) bool {
	for k, other := range c.choices() {
		if a[c.name][k] == errno && other.within(ch) {
			return true
		}
		if k > 0 && other.count() > 1 {
			return false
		}
	}
	return false
}

// within says whether what is wrong in c is wrong in d, too.
func (c choice) within(d choice) bool {
	for i := range c {
		if c[i] >= 0 && c[i] != d[i] {
			return false
		}
	}
	return c != d
}

// count is how many arguments are wrong.
func (c choice) count() (n int) {
	for _, w := range c {
		if w >= 0 {
			n++
		}
	}
	return n
}

// explained is the index of the difference that a list has for this, or -1.
func explained(list []difference, c *call, ch choice, linux, hvgo string) int {
	for i := range list {
		if list[i].matches(c, ch, linux, hvgo) {
			return i
		}
	}
	return -1
}

// matches says whether d is about a call. Linux and hvgo may end in a *.
func (d *difference) matches(c *call, ch choice, linux, hvgo string) bool {
	return contains(d.calls, c.name) && like(d.linux, linux) && like(d.hvgo, hvgo) && d.with(c, ch)
}

// with says whether one of the arguments is one that d names.
func (d *difference) with(c *call, ch choice) bool {
	if d.args == "" {
		return true
	}
	for i := range c.args {
		if contains(d.args, c.value(i, ch).name) {
			return true
		}
	}
	return false
}

// contains says whether list, of names with | between, has a name.
func contains(list, name string) bool {
	for l := range strings.SplitSeq(list, "|") {
		if l == name {
			return true
		}
	}
	return false
}

func like(pattern, s string) bool {
	for p := range strings.SplitSeq(pattern, "|") {
		if head, ok := strings.CutSuffix(p, "*"); p == s || ok && strings.HasPrefix(s, head) {
			return true
		}
	}
	return false
}
