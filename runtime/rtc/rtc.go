// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package rtc reads the real-time clock of a PC (MC146818): 128 bytes behind two I/O
// ports. It is where the wall clock comes from when there is no UEFI.
package rtc

import (
	"github.com/hvgo/hvgo/runtime/efi"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// Ports, and registers behind them.
const (
	index = 0x70 // bit 7 keeps NMIs out
	data  = 0x71

	seconds, minutes, hours  = 0, 2, 4
	day, month, year         = 7, 8, 9
	statusA, statusB         = 10, 11
	updating                 = 1 << 7 // of status A
	binary, hours24          = 1 << 2, 1 << 1
	afternoon                = 1 << 7 // of hours
	tries                    = 1 << 12
	readings                 = 8
	firstYear, otherCenturys = 70, 2000
)

// clock is one reading of the registers.
type clock struct {
	second, minute, hour, day, month, year, century, status uint8
}

// Now is the time in ns since 1970, 0 when there is no clock or its time is no time.
// century is the register that holds the century, which ACPI knows; 0 for none.
func Now(century uint8) int64 {
	last := read(century)
	for range readings {
		now := read(century)
		if now == last { // the clock did not tick in between
			return now.unixNano(century != 0)
		}
		last = now
	}
	return 0
}

// read waits until no update is under way, but not for ever: a port that nobody
// serves reads as all ones.
func read(century uint8) clock {
	for i := 0; i < tries && register(statusA)&updating != 0; i++ {
		ring0.Pause()
	}
	c := clock{
		register(seconds), register(minutes), register(hours), register(day), register(month), register(year), 0, register(statusB),
	}
	if century != 0 {
		c.century = register(century & 0x7F)
	}
	return c
}

func register(i uint8) uint8 {
	ring0.Out8(index, i)
	return ring0.In8(data)
}

// unixNano makes a time of a reading.
func (c clock) unixNano(hasCentury bool) int64 {
	if c.status == 0xFF {
		return 0
	}
	pm := c.hour&afternoon != 0
	c.hour &^= afternoon
	if c.status&binary == 0 {
		for _, r := range [...]*uint8{&c.second, &c.minute, &c.hour, &c.day, &c.month, &c.year, &c.century} {
			if *r&0xF > 9 || *r>>4 > 9 {
				return 0
			}
			*r = *r>>4*10 + *r&0xF
		}
	}
	if c.status&hours24 == 0 {
		if c.hour < 1 || c.hour > 12 {
			return 0
		}
		c.hour %= 12
		if pm {
			c.hour += 12
		}
	} else if pm {
		return 0
	}
	full := uint16(c.year) + otherCenturys
	switch {
	case c.year > 99:
		return 0
	case hasCentury && c.century >= 19 && c.century <= 21:
		full = uint16(c.century)*100 + uint16(c.year)
	case c.year >= firstYear:
		full -= 100
	}
	t := efi.Time{Year: full, Month: c.month, Day: c.day, Hour: c.hour, Minute: c.minute, Second: c.second, Zone: efi.ZoneUnspecified}
	return t.UnixNano()
}
