// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package guid holds GUIDs as Microsoft's interfaces put them on the wire and
// on disk: VMBus interface and instance ids, GPT partition types, VHDX regions.
//
// Text and wire order differ. The first three fields are little-endian
// integers on the wire, the last two are plain bytes (RFC 4122 calls this
// the variant of Microsoft's backward compatibility):
//
//	text   ba6163d9-04a1-4d29-b605-72e2ffb1dc7f
//	wire   d9 63 61 ba a1 04 29 4d b6 05 72 e2 ff b1 dc 7f
package guid

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
)

// GUID is a GUID in wire order. It is comparable and its zero value is the
// nil GUID.
type GUID [16]byte

// Size is the encoded size of a GUID in bytes.
const Size = 16

// ErrSyntax is wrapped by the errors of Parse.
var ErrSyntax = errors.New("not a GUID")

// order maps text positions to wire positions; it is its own inverse.
var order = [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}

// Parse reads the text form, with or without braces, in either case.
func Parse(s string) (GUID, error) {
	t := s
	if len(t) == 38 && t[0] == '{' && t[37] == '}' {
		t = t[1:37]
	}
	if len(t) != 36 || t[8] != '-' || t[13] != '-' || t[18] != '-' || t[23] != '-' {
		return GUID{}, fmt.Errorf("%q: %w", s, ErrSyntax)
	}
	text, err := hex.DecodeString(t[0:8] + t[9:13] + t[14:18] + t[19:23] + t[24:36])
	if err != nil {
		return GUID{}, fmt.Errorf("%q: %w", s, ErrSyntax)
	}
	var g GUID
	for i, w := range order {
		g[w] = text[i]
	}
	return g, nil
}

// MustParse is Parse for constants: it panics on a syntax error.
func MustParse(s string) GUID {
	g, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return g
}

// Decode reads a GUID from the first Size bytes of b.
func Decode(b []byte) (GUID, error) {
	if len(b) < Size {
		return GUID{}, fmt.Errorf("guid: %d bytes, need %d", len(b), Size)
	}
	return GUID(b[:Size]), nil
}

// AppendTo appends the wire form to b.
func (g GUID) AppendTo(b []byte) []byte { return append(b, g[:]...) }

// New returns a random GUID (version 4).
func New() GUID {
	var g GUID
	rand.Read(g[:])         // never fails: crypto/rand ends the program instead
	g[7] = g[7]&0x0f | 0x40 // version, high byte of the third field
	g[8] = g[8]&0x3f | 0x80 // variant
	return g
}

// IsZero reports whether g is the nil GUID.
func (g GUID) IsZero() bool { return g == GUID{} }

// String gives the text form in lower case, without braces.
func (g GUID) String() string {
	var text [16]byte
	for i, w := range order {
		text[i] = g[w]
	}
	var b [36]byte
	hex.Encode(b[0:8], text[0:4])
	hex.Encode(b[9:13], text[4:6])
	hex.Encode(b[14:18], text[6:8])
	hex.Encode(b[19:23], text[8:10])
	hex.Encode(b[24:36], text[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}
