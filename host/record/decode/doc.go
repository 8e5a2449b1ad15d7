// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package decode makes messages with named fields out of the records of a recording:
// what `hvgo record show` prints, and what tests compare field by field.
//
//	Record -> Decoder.Decode -> Event -> Parts, outermost first:
//	  channel message
//	  packet -> vstor | NVSP -> RNDIS | integration service | Dynamic Memory
//
// Every byte is in a field: what no decoder of internal/wire names stands in the
// field "other". Bytes from outside never make it fail; what cannot be read is shown
// in hexadecimal, with the reason.
package decode
