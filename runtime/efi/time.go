// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package efi

// Time is EFI_TIME (UEFI 2.10, 8.3.1).
type Time struct {
	Year                             uint16
	Month, Day, Hour, Minute, Second uint8
	_                                uint8
	Nanosecond                       uint32
	Zone                             int16 // minutes to add for UTC, ZoneUnspecified for local time of nobody knows where
	Daylight                         uint8
	_                                uint8
}

// ZoneUnspecified is EFI_UNSPECIFIED_TIMEZONE. It is taken as UTC: Hyper-V's
// clock is.
const ZoneUnspecified = 2047

// UnixNano is t in ns since 1970-01-01T00:00:00Z, 0 when t is no time.
//
//go:nosplit
func (t *Time) UnixNano() int64 {
	if t.Year < 1970 || t.Year > 2200 || t.Month < 1 || t.Month > 12 || t.Day < 1 || t.Day > 31 ||
		t.Hour > 23 || t.Minute > 59 || t.Second > 59 || t.Nanosecond >= 1e9 {
		return 0
	}
	zone := int64(t.Zone)
	if zone < -1440 || zone > 1440 {
		zone = 0
	}
	minutes := (days(int64(t.Year), int64(t.Month), int64(t.Day))*24+int64(t.Hour))*60 + int64(t.Minute) + zone
	return (minutes*60+int64(t.Second))*1e9 + int64(t.Nanosecond)
}

// days is the number of days from 1970-01-01 to a date of the Gregorian
// calendar, by counting years from the first of March.
//
//go:nosplit
func days(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	const to1970 = 719468 // from 0000-03-01
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - to1970
}
