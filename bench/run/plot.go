// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes of a plot, in pixels.
const (
	plotWidth  = 960
	labelWidth = 340
	rightSpace = 90
	barHeight  = 14
	barStep    = 22
	headSpace  = 84
	footSpace  = 40
)

// Colours: hvgo better, hvgo worse.
const (
	betterColour = "#2a7f9e"
	worseColour  = "#d9822b"
)

// plot draws by how much hvgo is better, a bar for each row, on a logarithmic axis
// whose middle is 1; a thin line from the worst round to the best, and a tick at the goal.
func plot(title string, list []comparison) string {
	reach := 2.0 // the axis ends at 1/reach and reach
	for _, c := range list {
		reach = max(reach, c.advantage.most, 1/c.advantage.least)
		if c.goal != nil {
			reach = max(reach, c.goal.advantage)
		}
	}
	reach = min(math.Pow(2, math.Ceil(math.Log2(reach))), 1<<20)
	middle, half := float64(labelWidth)+float64(plotWidth-labelWidth-rightSpace)/2, float64(plotWidth-labelWidth-rightSpace)/2
	x := func(v float64) float64 {
		return middle + half*math.Log(min(max(v, 1/reach), reach))/math.Log(reach)
	}
	height := headSpace + len(list)*barStep + footSpace
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="12">`+"\n",
		plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, height)
	text := func(x, y float64, anchor, style, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, style, html.EscapeString(s))
	}
	text(16, 28, "start", `font-size="18" font-weight="600" fill="#222"`, title)
	text(middle-10, 52, "end", `fill="`+worseColour+`"`, "Linux is better")
	text(middle+10, 52, "start", `fill="`+betterColour+`"`, "hvgo is better")
	bottom := float64(headSpace + len(list)*barStep)
	step := math.Pow(2, math.Ceil(math.Log2(reach)/5))
	for v := 1.0; v <= reach; v *= step {
		for _, at := range []float64{v, 1 / v} {
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", x(at), headSpace-10, x(at), bottom)
			if v > 1 || at == v {
				text(x(at), headSpace-14, "middle", `fill="#777" font-size="11"`, "×"+digits(at))
			}
			if v == 1 {
				break
			}
		}
	}
	for i, c := range list {
		y := float64(headSpace + i*barStep)
		a := c.advantage
		colour := betterColour
		if a.median < 1 {
			colour = worseColour
		}
		from, to := min(x(1), x(a.median)), max(x(1), x(a.median))
		text(labelWidth-10, y+barHeight-3, "end", `fill="#222"`, c.row)
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" rx="2" fill="%s"/>`+"\n", from, y, max(to-from, 1), barHeight, colour)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#333"/>`+"\n", x(a.least), y+barHeight/2, x(a.most), y+barHeight/2)
		if c.goal != nil && c.goal.advantage > 0 {
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#c02040" stroke-width="2"/>`+"\n", x(c.goal.advantage), y-2, x(c.goal.advantage), y+barHeight+2)
		}
		text(plotWidth-16, y+barHeight-3, "end", `fill="#222" font-weight="600"`, "×"+digits(a.median))
	}
	text(16, bottom+26, "start", `fill="#777" font-size="11"`, "bars: medians; thin lines: from the worst round to the best; red: the goal; the axis is logarithmic")
	b.WriteString("</svg>\n")
	return b.String()
}

// plots are the files to draw, by name.
func plots(list []comparison) map[string]string {
	var rates, numbers []comparison
	for _, c := range list {
		switch {
		case c.advantage.n == 0 || c.unit == share:
		case isCount(c.unit):
			numbers = append(numbers, c)
		case !strings.Contains(c.row, ": p") && !strings.HasPrefix(c.row, "start: ") || c.goal != nil:
			rates = append(rates, c) // percentiles without a goal are in the table
		}
	}
	files := map[string]string{}
	if len(rates) > 0 {
		files["rates.svg"] = plot("hvgo beside Linux: rates, times, sizes", rates)
	}
	if len(numbers) > 0 {
		files["counts.svg"] = plot("hvgo beside Linux: exits and hypercalls", numbers)
	}
	return files
}
