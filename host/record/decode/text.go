// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	enchex "encoding/hex"
	"fmt"
	"strings"
)

// indent is where the text of a part begins.
const indent = 42

// Text returns the event as lines for people, with a line for each part: time in
// seconds, who sent it, device and channel, message, fields. With raw, each part's
// bytes follow it.
//
//	0.001204 guest SCSI 2            GPA-direct packet: size 112, payload at 48, ...
//	                                 EXECUTE_SRB INQUIRY: size 64, flags 0x1, ...
func (e *Event) Text(raw bool) string {
	var b strings.Builder
	head := fmt.Sprintf("%12.6f %s %s", e.Time.Seconds(), e.sender(), e.place())
	for i := range e.Parts {
		fmt.Fprintf(&b, "%-*s %s\n", indent, head, e.Parts[i].text())
		if raw && len(e.Parts[i].Raw) > 0 {
			dump := strings.TrimRight(enchex.Dump(e.Parts[i].Raw), "\n")
			for line := range strings.Lines(dump) {
				fmt.Fprintf(&b, "%*s %s", indent, "", line)
			}
			b.WriteByte('\n')
		}
		head = ""
	}
	return b.String()
}

func (e *Event) sender() string {
	if len(e.Parts) > 0 && e.Parts[0].Layer == "" && e.Channel == 0 {
		return "     " // notes and the like are nobody's
	}
	if e.ToGuest {
		return "host "
	}
	return "guest"
}

func (e *Event) place() string {
	switch {
	case e.Channel == 0:
		return ""
	case e.Device == "":
		return fmt.Sprintf("channel %d", e.Channel)
	}
	return fmt.Sprintf("%s %d", e.Device, e.Channel)
}

func (p *Part) text() string {
	fields := make([]string, 0, len(p.Fields))
	for _, f := range p.Fields {
		fields = append(fields, f.Name+" "+f.Value)
	}
	name := p.Name
	if p.Layer == "NVSP" || p.Layer == "RNDIS" {
		name = p.Layer + " " + name
	}
	if len(fields) == 0 {
		return name
	}
	return name + ": " + strings.Join(fields, ", ")
}
