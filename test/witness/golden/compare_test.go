// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// difference is one way in which two guests differ. In an explanation * in a text
// stands for anything, and in linux and ours also for a missing field.
type difference struct {
	stream, message, field string
	linux, ours            string // values; nothing where the field is missing
}

// Names of the field in a difference about a whole message.
const (
	onlyLinux = "only Linux sends it"
	onlyOurs  = "only we send it"
	elsewhere = "sent elsewhere in the order"
)

func (d difference) String() string {
	if d.field == onlyLinux || d.field == onlyOurs || d.field == elsewhere {
		return fmt.Sprintf("%s: %s: %s: %s", d.stream, d.message, d.field, d.linux+d.ours)
	}
	return fmt.Sprintf("%s: %s: %s: Linux %q, ours %q", d.stream, d.message, d.field, d.linux, d.ours)
}

// compare lists all differences of two guests.
func compare(linux, ours streams) (all []difference) {
	names := map[string]bool{}
	for name := range linux {
		names[name] = true
	}
	for name := range ours {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		all = append(all, compareStream(name, linux[name], ours[name])...)
	}
	return all
}

// compareStream finds which messages correspond, by a longest common subsequence of
// their keys, and compares those. Of the rest, those with the same key are compared
// too, and reported as sent elsewhere in the order.
func compareStream(name string, linux, ours []item) (all []difference) {
	common := make([][]int, len(linux)+1) // of the rests from i and j on
	for i := range common {
		common[i] = make([]int, len(ours)+1)
	}
	for i := len(linux) - 1; i >= 0; i-- {
		for j := len(ours) - 1; j >= 0; j-- {
			common[i][j] = max(common[i+1][j], common[i][j+1])
			if linux[i].key == ours[j].key {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	var onlyTheirs, onlyHere []item
	i, j := 0, 0
	for i < len(linux) || j < len(ours) {
		switch {
		case i < len(linux) && j < len(ours) && linux[i].key == ours[j].key:
			all = append(all, compareItem(name, linux[i], ours[j])...)
			i, j = i+1, j+1
		case j == len(ours) || i < len(linux) && common[i+1][j] >= common[i][j+1]:
			onlyTheirs = append(onlyTheirs, linux[i])
			i++
		default:
			onlyHere = append(onlyHere, ours[j])
			j++
		}
	}
	return append(all, compareRest(name, onlyTheirs, onlyHere)...)
}

func compareRest(name string, linux, ours []item) (all []difference) {
	for _, it := range linux {
		j := slices.IndexFunc(ours, func(o item) bool { return o.key == it.key })
		if j < 0 {
			all = append(all, difference{stream: name, message: it.key, field: onlyLinux, linux: it.text()})
			continue
		}
		all = append(all, difference{stream: name, message: it.key, field: elsewhere})
		all = append(all, compareItem(name, it, ours[j])...)
		ours = slices.Delete(ours, j, j+1)
	}
	for _, it := range ours {
		all = append(all, difference{stream: name, message: it.key, field: onlyOurs, ours: it.text()})
	}
	return all
}

func (it item) text() string {
	var b strings.Builder
	for i, f := range it.fields {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(f.Name + " " + f.Value)
	}
	return b.String()
}

func compareItem(stream string, linux, ours item) (all []difference) {
	theirs := map[string]string{}
	for _, f := range linux.fields {
		theirs[f.Name] = f.Value
	}
	for _, f := range ours.fields {
		if v, ok := theirs[f.Name]; !ok || v != f.Value {
			all = append(all, difference{stream, linux.key, f.Name, v, f.Value})
		}
		delete(theirs, f.Name)
	}
	for _, f := range linux.fields {
		if v, ok := theirs[f.Name]; ok {
			all = append(all, difference{stream, linux.key, f.Name, v, ""})
		}
	}
	return all
}

// matches tells whether an explanation is about d.
func (d difference) matches(e difference) bool {
	return glob(e.stream, d.stream) && glob(e.message, d.message) && glob(e.field, d.field) && glob(e.linux, d.linux) && glob(e.ours, d.ours)
}

// glob matches a text with a pattern in which * stands for anything.
func glob(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, head)
	for ok && rest != "" {
		part, more, again := strings.Cut(rest, "*")
		if !again {
			return strings.HasSuffix(text, part)
		}
		_, text, ok = strings.Cut(text, part)
		rest = more
	}
	return ok
}
