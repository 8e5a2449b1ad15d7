// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package handover

// maxLine bounds the command line, in bytes: Linux takes 2047.
const maxLine = 4096

// Line is the command line, and the words of it that are the program's.
//
//	panic=-1 console=ttyS0 LEVEL=debug -- -listen :8080
//	\___ host's, left out ___/ \ Env _/    \__ Args __/
//
// Words behind a lone "--" are arguments. Of those before it, NAME=value is a
// variable of the environment if NAME is of capital letters, digits and underscores,
// and does not begin with a digit: words for a kernel are of small letters. A word
// may have quotes around it or around its value, as Linux allows: they are taken off
// and keep the spaces between them.
type Line struct {
	Text [maxLine]byte
	Len  int
	Cut  bool // the line was longer; its last, broken word is left out

	Args Words
	Env  Words // the last of two with one name comes first
}

// Words are texts that end with a zero byte each, one behind the other.
type Words struct {
	Text [maxLine + 1]byte
	Len  int
}

// read copies the line at pa, up to its zero byte; 0 is no line.
func (l *Line) read(v View, pa uint64) {
	if pa == 0 {
		return
	}
	for i := uint64(0); ; i++ {
		b := v.Bytes(pa+i, 1)
		if b == nil || b[0] == 0 {
			break
		}
		if !l.Append(b[0]) {
			break
		}
	}
	l.Split()
}

// FromUTF16 takes the line from UTF-16 text, little-endian, up to its zero. A text
// with surrogates out of order or control characters is none: boot managers keep
// other things in the same place.
func (l *Line) FromUTF16(b []byte) {
	l.Len = 0
	for i := 0; i+2 <= len(b); i += 2 {
		r := uint32(b[i]) | uint32(b[i+1])<<8
		if r == 0 {
			break
		}
		if r>>11 == 0xD800>>11 {
			low := uint32(0)
			if i += 2; i+2 <= len(b) {
				low = uint32(b[i]) | uint32(b[i+1])<<8
			}
			if r >= 0xDC00 || low>>10 != 0xDC00>>10 {
				l.Len = 0
				return
			}
			r = 0x10000 + (r-0xD800)<<10 + (low - 0xDC00)
		}
		if r < ' ' && r != '\t' || r == 0x7F {
			l.Len = 0
			return
		}
		if !l.appendRune(r) {
			break
		}
	}
	l.Split()
}

// appendRune adds a character in UTF-8.
func (l *Line) appendRune(r uint32) bool {
	switch {
	case r < 1<<7:
		return l.Append(byte(r))
	case r < 1<<11:
		return l.Append(0xC0|byte(r>>6)) && l.Append(0x80|byte(r&0x3F))
	case r < 1<<16:
		return l.Append(0xE0|byte(r>>12)) && l.Append(0x80|byte(r>>6&0x3F)) && l.Append(0x80|byte(r&0x3F))
	}
	return l.Append(0xF0|byte(r>>18)) && l.Append(0x80|byte(r>>12&0x3F)) && l.Append(0x80|byte(r>>6&0x3F)) && l.Append(0x80|byte(r&0x3F))
}

// Append adds a byte to the text. It gives false when there is no more room.
func (l *Line) Append(c byte) bool {
	if l.Len == len(l.Text) {
		for !isSpace(c) && l.Len > 0 && !isSpace(l.Text[l.Len-1]) {
			l.Len--
		}
		l.Cut = true
		return false
	}
	l.Text[l.Len] = c
	l.Len++
	return true
}

// Split finds Args and Env in the text.
func (l *Line) Split() {
	l.Args.Len, l.Env.Len = 0, 0
	arguments := false
	for at := 0; ; {
		var word [maxLine]byte
		n, next := nextWord(l.Text[:l.Len], at, &word)
		if n < 0 {
			return
		}
		at = next
		switch {
		case arguments:
			l.Args.add(word[:n])
		case n == 2 && word[0] == '-' && word[1] == '-':
			arguments = true
		case isVariable(word[:n]):
			l.Env.addFirst(word[:n])
		}
	}
}

// nextWord copies the next word from at on, and gives its length and where it ends;
// -1 when there is none. Spaces between quotes are part of a word, and quotes around
// it or around its value are not.
func nextWord(text []byte, at int, word *[maxLine]byte) (n, next int) {
	for at < len(text) && isSpace(text[at]) {
		at++
	}
	if at == len(text) {
		return -1, at
	}
	for inQuotes := false; at < len(text) && (inQuotes || !isSpace(text[at])); at++ {
		if text[at] == '"' {
			inQuotes = !inQuotes
		}
		word[n] = text[at]
		n++
	}
	quote := 0
	if word[0] != '"' {
		for quote < n && word[quote] != '=' {
			quote++
		}
		quote++
	}
	if quote < n && word[quote] == '"' {
		copy(word[quote:n-1], word[quote+1:n])
		if n--; n > quote && word[n-1] == '"' {
			n--
		}
	}
	return n, at
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// isVariable tells whether a word is NAME=value.
func isVariable(word []byte) bool {
	for i, c := range word {
		switch {
		case c >= 'A' && c <= 'Z' || c == '_':
		case c >= '0' && c <= '9' && i > 0:
		default:
			return c == '=' && i > 0
		}
	}
	return false
}

// add puts a word behind the others. There is room: words are shorter than the line.
func (w *Words) add(word []byte) {
	if len(word) >= len(w.Text)-w.Len {
		return
	}
	copy(w.Text[w.Len:], word)
	w.Text[w.Len+len(word)] = 0
	w.Len += len(word) + 1
}

// addFirst puts a word before the others.
func (w *Words) addFirst(word []byte) {
	if len(word) >= len(w.Text)-w.Len {
		return
	}
	copy(w.Text[len(word)+1:], w.Text[:w.Len])
	copy(w.Text[:], word)
	w.Text[len(word)] = 0
	w.Len += len(word) + 1
}
