// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/hvgo/hvgo/internal/wire/direct"
)

// memory is physical memory of 64 KiB.
type memory []byte

func newMemory() memory { return make(memory, 64<<10) }

func (m memory) view() View {
	return View{uintptr(unsafe.Pointer(unsafe.SliceData(m))), uint64(len(m))}
}

func (m memory) put(at int, b []byte) { copy(m[at:], b) }

const mib = 1 << 20

func told(t *testing.T, ranges ...direct.Range) (*Map, string) {
	t.Helper()
	m := new(Map)
	for _, r := range ranges {
		if !m.add(r) {
			t.Fatal("no room")
		}
	}
	return m, m.finish()
}

func TestMap(t *testing.T) {
	const top = ^uint64(0)
	window := Range{WindowStart, WindowEnd, TypeWindow}
	for _, test := range []struct {
		name string
		told []direct.Range
		want []Range
	}{
		{"in order",
			[]direct.Range{{Start: 0, Size: 0xA0000, Type: direct.RAM}, {Start: mib, Size: 63 * mib, Type: direct.RAM}},
			[]Range{{0, 0xA0000, direct.RAM}, window, {mib, 64 * mib, direct.RAM}}},
		{"backwards, in touching pieces",
			[]direct.Range{{Start: 2 * mib, Size: mib, Type: direct.RAM}, {Start: mib, Size: mib, Type: direct.RAM}},
			[]Range{window, {mib, 3 * mib, direct.RAM}}},
		{"reserved in the middle wins",
			[]direct.Range{{Start: mib, Size: 9 * mib, Type: direct.RAM}, {Start: 4 * mib, Size: mib, Type: direct.Reserved}},
			[]Range{window, {mib, 4 * mib, direct.RAM}, {4 * mib, 5 * mib, direct.Reserved}, {5 * mib, 10 * mib, direct.RAM}}},
		{"unknown types are reserved, and win over ACPI",
			[]direct.Range{{Start: mib, Size: mib, Type: direct.ACPI}, {Start: mib, Size: mib, Type: 77}, {Start: 2 * mib, Size: mib, Type: direct.RAM}, {Start: 2 * mib, Size: mib, Type: direct.NVS}, {Start: 3 * mib, Size: mib, Type: direct.RAM}},
			[]Range{window, {mib, 2 * mib, 77}, {2 * mib, 3 * mib, direct.NVS}, {3 * mib, 4 * mib, direct.RAM}}},
		{"parts of pages are no RAM",
			[]direct.Range{{Start: mib + 1, Size: 2 * mib, Type: direct.RAM}, {Start: 2*mib + 5, Size: 2, Type: direct.ACPI}},
			[]Range{window, {mib + 4096, 2 * mib, direct.RAM}, {2 * mib, 2*mib + 4096, direct.ACPI}, {2*mib + 4096, 3 * mib, direct.RAM}}},
		{"empty, and smaller than a page",
			[]direct.Range{{Start: mib, Size: 0, Type: direct.Reserved}, {Start: mib + 100, Size: 1000, Type: direct.RAM}, {Start: 2 * mib, Size: mib, Type: direct.RAM}},
			[]Range{window, {2 * mib, 3 * mib, direct.RAM}}},
		{"above 4 GiB",
			[]direct.Range{{Start: 1 << 32, Size: 1 << 30, Type: direct.RAM}},
			[]Range{window, {1 << 32, 5 << 30, direct.RAM}}},
		{"wraps around",
			[]direct.Range{{Start: mib, Size: mib, Type: direct.RAM}, {Start: top - 4095, Size: 1 << 40, Type: direct.Reserved}, {Start: 1 << 63, Size: top, Type: direct.Unusable}},
			[]Range{window, {mib, 2 * mib, direct.RAM}, {1 << 63, top &^ pageMask, direct.Unusable}}},
		{"the window stays readable",
			[]direct.Range{{Start: 0, Size: 16 * mib, Type: direct.RAM}, {Start: 0xF0000, Size: 0x10000, Type: direct.Reserved}},
			[]Range{{0, WindowStart, direct.RAM}, window, {mib, 16 * mib, direct.RAM}}},
	} {
		m, why := told(t, test.told...)
		if got := m.Ranges[:m.N]; why != "" || !slices.Equal(got, test.want) {
			t.Errorf("%s: %q\n%x, want\n%x", test.name, why, got, test.want)
		}
	}
	if _, why := told(t, direct.Range{Start: mib, Size: mib, Type: direct.Reserved}); why != "the host tells of no memory" {
		t.Errorf("no RAM: %q", why)
	}
	m := new(Map)
	n := 0
	for m.add(direct.Range{Start: uint64(n) * 8192, Size: 4096, Type: direct.RAM}) {
		n++
	}
	if n != maxRanges || m.finish() == "" {
		t.Errorf("%d ranges", n)
	}
}

// TestMapRandom compares with a table of pages.
func TestMapRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const pages, first = 300, WindowEnd / 4096
	for range 300 {
		var want [pages]uint32
		m := new(Map)
		for range rng.IntN(40) {
			at, n := rng.Uint64N(pages), rng.Uint64N(40)
			r := direct.Range{Start: (first + at) * 4096, Size: n * 4096, Type: uint32(rng.IntN(6)) + 1}
			m.add(r)
			for p := at; p < min(at+n, pages); p++ {
				if rank(r.Type) > rank(want[p]) || want[p] == 0 {
					want[p] = r.Type
				}
			}
		}
		m.finish()
		var got [pages]uint32
		for i, r := range m.Ranges[:m.N] {
			if r.Start >= r.End || i > 0 && r.Start < m.Ranges[i-1].End {
				t.Fatalf("range %d of %x", i, m.Ranges[:m.N])
			}
			for p := r.Start / 4096; p < r.End/4096; p++ {
				if p >= first && p < first+pages {
					got[p-first] = r.Type
				}
			}
		}
		if got != want {
			t.Fatalf("%v\n%v", got, want)
		}
	}
}

func TestLine(t *testing.T) {
	for _, test := range []struct {
		line      string
		args, env []string
	}{
		{"", nil, nil},
		{"   \t ", nil, nil},
		{"panic=-1 debug pci=off console=ttyS0", nil, nil},
		{"quiet -- a b", []string{"a", "b"}, nil},
		{"-- -- x=y A=b", []string{"--", "x=y", "A=b"}, nil},
		{"A=b --", nil, []string{"A=b"}},
		{"A=1 B=2 A=3", nil, []string{"A=3", "B=2", "A=1"}},
		{"A=", nil, []string{"A="}},
		{"=x A B_9=x 9B=x a=b Ab=c A.B=c _=u", nil, []string{"_=u", "B_9=x"}},
		{`A="b c" "D=e f" G="h" I=j"k l"m -- "n o" p="q r" "s" ""`, []string{"n o", "p=q r", "s", ""}, []string{`I=j"k l"m`, "G=h", "D=e f", "A=b c"}},
		{`-- "never closed `, []string{"never closed "}, nil},
		{`-- "`, []string{""}, nil},
		{`-- a= "="  b="`, []string{"a=", "=", "b="}, nil},
		{"-- \x80\xFF é", []string{"\x80\xFF", "é"}, nil},
		{"A=x\n--\ty", []string{"y"}, []string{"A=x"}},
		{"--x -- --", []string{"--"}, nil},
	} {
		m := newMemory()
		m.put(0x3000, []byte(test.line))
		var l Line
		l.read(m.view(), 0x3000)
		if a, e := list(l.Args), list(l.Env); !slices.Equal(a, test.args) || !slices.Equal(e, test.env) || l.Cut {
			t.Errorf("%q: args %q, env %q, cut %v", test.line, a, e, l.Cut)
		}
	}
}

func list(w Words) []string {
	if w.Len == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(w.Text[:w.Len]), "\x00"), "\x00")
}

// TestLongLine: what is too long is cut behind a whole word, and what has no end ends
// with the memory.
func TestLongLine(t *testing.T) {
	m := newMemory()
	m.put(0x3000, []byte("-- "+strings.Repeat("word ", 2000)))
	var l Line
	l.read(m.view(), 0x3000)
	if a := list(l.Args); !l.Cut || len(a) != (maxLine-3)/5 || a[len(a)-1] != "word" {
		t.Errorf("cut %v, %d words", l.Cut, len(a))
	}
	m = newMemory()
	m.put(0x3000, bytes.Repeat([]byte("x"), maxLine*2))
	l = Line{}
	if l.read(m.view(), 0x3000); !l.Cut || l.Len != 0 {
		t.Errorf("one long word: cut %v, %d bytes", l.Cut, l.Len)
	}
	m = newMemory()
	m.put(len(m)-4, []byte("-- x"))
	l = Line{}
	if l.read(m.view(), uint64(len(m)-4)); !slices.Equal(list(l.Args), []string{"x"}) || l.Cut {
		t.Errorf("at the end of memory: %q", list(l.Args))
	}
	l = Line{}
	if l.read(m.view(), 1<<40); l.Len != 0 {
		t.Error("outside of memory")
	}
	m = newMemory()
	m.put(0x3000, []byte("-- "+strings.Repeat("x ", maxLine)))
	l = Line{}
	if l.read(m.view(), 0x3000); l.Args.Len != (maxLine-3+1)/2*2 || !l.Cut {
		t.Errorf("short words: %d bytes", l.Args.Len)
	}
}

func TestUTF16(t *testing.T) {
	for _, test := range []struct {
		b    string
		args []string
	}{
		{"-\x00-\x00 \x00a\x00\x00\x00 \x00b\x00", []string{"a"}},
		{"-\x00-\x00 \x00\xe9\x00\xac\x20\x3d\xd8\x00\xde", []string{"é€😀"}},
		{"-\x00-\x00 \x00\x3d\xd8", nil},         // half a pair
		{"-\x00-\x00 \x00\x00\xde\x3d\xd8", nil}, // the wrong way round
		{"-\x00-\x00 \x00a\x00\x01\x00", nil},    // no text
		{"x", nil},
	} {
		var l Line
		l.FromUTF16([]byte(test.b))
		if a := list(l.Args); !slices.Equal(a, test.args) {
			t.Errorf("% x: %q", test.b, a)
		}
	}
	var l Line
	l.FromUTF16(bytes.Repeat([]byte{0xac, 0x20}, maxLine))
	if !l.Cut || l.Len != 0 {
		t.Errorf("%d bytes, cut %v", l.Len, l.Cut)
	}
}

func bootParams(m memory) {
	p := direct.BootParams{RSDP: 0xE0000, CommandLine: 0x3000, SetupData: 0x5000, E820: []direct.Range{{Start: mib, Size: mib, Type: direct.RAM}}}
	m.put(0x2000, p.AppendTo(nil))
	m.put(0x3000, []byte("-- a\x00"))
	seed := direct.SetupData{Next: 0x6000, Type: direct.SetupRNGSeed, Length: 4}.AppendTo(nil)
	m.put(0x5000, append(seed, 1, 2, 3, 4))
	more := direct.SetupData{Type: direct.SetupE820, Length: direct.E820EntrySize}.AppendTo(nil)
	m.put(0x6000, direct.Range{Start: 4 * mib, Size: mib, Type: direct.RAM}.AppendE820(more))
}

func TestFromBootParams(t *testing.T) {
	m := newMemory()
	bootParams(m)
	i := new(Info)
	if why := i.FromBootParams(m.view(), 0x2000); why != "" {
		t.Fatal(why)
	}
	want := []Range{{WindowStart, WindowEnd, TypeWindow}, {mib, 2 * mib, direct.RAM}, {4 * mib, 5 * mib, direct.RAM}}
	if !slices.Equal(i.Map.Ranges[:i.Map.N], want) || i.RSDP != 0xE0000 || !slices.Equal(list(i.Line.Args), []string{"a"}) ||
		i.SeedLen != 4 || !bytes.Equal(i.Seed[:4], []byte{1, 2, 3, 4}) {
		t.Errorf("%x, RSDP %#x, seed %d", i.Map.Ranges[:i.Map.N], i.RSDP, i.SeedLen)
	}
	for _, test := range []struct {
		name   string
		change func(m memory)
		at     uint64
		want   string
	}{
		{"outside", func(memory) {}, 1 << 33, "outside of memory"},
		{"at 0", func(memory) {}, 0, "outside of memory"},
		{"too many", func(m memory) { m[0x2000+0x1E8] = 129 }, 0x2000, "than they have room for"},
		{"list outside", func(m memory) { m[0x2000+0x257] = 1 }, 0x2000, "setup_data is broken"},
		{"list is a ring", func(m memory) { m.put(0x6000, direct.SetupData{Next: 0x6000}.AppendTo(nil)) }, 0x2000, "setup_data is broken"},
		{"seed outside", func(m memory) { m[0x500F] = 0xFF }, 0x2000, ""},
		{"none", func(m memory) { clear(m[0x2000+0x1E8:]) }, 0x2000, "no memory"},
	} {
		m := newMemory()
		bootParams(m)
		test.change(m)
		why := new(Info).FromBootParams(m.view(), test.at)
		if test.want == "" && why != "" || !strings.Contains(why, test.want) {
			t.Errorf("%s: %q, want %q", test.name, why, test.want)
		}
	}
}

func startInfo(m memory) {
	s := direct.StartInfo{Magic: direct.StartMagic, Version: 1, CommandLine: 0x3000, RSDP: 0xE0000, Memmap: 0x4000, MemmapCount: 1}
	m.put(0x2000, s.AppendTo(nil))
	m.put(0x3000, []byte("A=b"))
	m.put(0x4000, direct.Range{Start: mib, Size: mib, Type: direct.RAM}.AppendMemmap(nil))
}

func TestFromStartInfo(t *testing.T) {
	m := newMemory()
	startInfo(m)
	i := new(Info)
	if why := i.FromStartInfo(m.view(), 0x2000); why != "" || i.RSDP != 0xE0000 || !slices.Equal(list(i.Line.Env), []string{"A=b"}) {
		t.Errorf("%q, RSDP %#x, env %q", why, i.RSDP, list(i.Line.Env))
	}
	for _, test := range []struct {
		at   int
		to   byte
		want string
	}{
		{0, 0, "does not point"},
		{4, 0, "version 0"},
		{4, 9, ""}, // later versions only add
		{49, 0xFF, "too many"},
		{46, 0xFF, "outside of memory"},
		{48, 0, "no memory"},
	} {
		m := newMemory()
		startInfo(m)
		m[0x2000+test.at] = test.to
		why := new(Info).FromStartInfo(m.view(), 0x2000)
		if test.want == "" && why != "" || !strings.Contains(why, test.want) {
			t.Errorf("byte %d: %q, want %q", test.at, why, test.want)
		}
	}
	if why := new(Info).FromStartInfo(m.view(), uint64(len(m)-8)); why == "" {
		t.Error("beyond the end")
	}
}

func TestFindSMBIOS(t *testing.T) {
	m := make(memory, mib)
	put := func(at int, text string, size, sumAt, sizeAt int) {
		b := make([]byte, size)
		copy(b, text)
		b[sizeAt] = byte(size)
		sum := byte(0)
		for _, c := range b {
			sum += c
		}
		b[sumAt] = -sum
		m.put(at, b)
	}
	if at := FindSMBIOS(m.view()); at != 0 {
		t.Errorf("nothing: %#x", at)
	}
	put(0xF0010, "_SM_", 31, 4, 5)
	put(0xF0108, "_SM3_", 24, 5, 6) // not on 16 bytes
	if at := FindSMBIOS(m.view()); at != 0xF0010 {
		t.Errorf("%#x", at)
	}
	put(0xFFFE0, "_SM3_", 24, 5, 6)
	if at := FindSMBIOS(m.view()); at != 0xFFFE0 {
		t.Errorf("%#x", at)
	}
	m[0xFFFE9]++ // the sum is wrong
	if at := FindSMBIOS(m.view()); at != 0xF0010 {
		t.Errorf("wrong sum: %#x", at)
	}
}

func FuzzHandover(f *testing.F) {
	m := newMemory()
	bootParams(m)
	f.Add([]byte(m[0x2000:0x6100]))
	m = newMemory()
	startInfo(m)
	f.Add([]byte(m[0x2000:0x4100]))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMemory()
		m.put(0x2000, b)
		for _, read := range []func(*Info, View, uint64) string{(*Info).FromBootParams, (*Info).FromStartInfo} {
			i := new(Info)
			if why := read(i, m.view(), 0x2000); why != "" {
				continue
			}
			last := uint64(0)
			for _, r := range i.Map.Ranges[:i.Map.N] {
				if r.Start < last || r.End <= r.Start || r.Start%4096 != 0 || r.End%4096 != 0 {
					t.Fatalf("%x", i.Map.Ranges[:i.Map.N])
				}
				last = r.End
			}
		}
	})
}

func FuzzLine(f *testing.F) {
	f.Add([]byte(`A=b "C=d e" x -- y "z`))
	f.Add([]byte("-\x00-\x00 \x00\x3d\xd8\x00\xde"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMemory()
		m.put(0x3000, b)
		for _, read := range []func(l *Line){
			func(l *Line) { l.read(m.view(), 0x3000) },
			func(l *Line) { l.FromUTF16(b) },
		} {
			l := new(Line)
			read(l)
			for _, w := range []*Words{&l.Args, &l.Env} {
				if w.Len > 0 && w.Text[w.Len-1] != 0 || w.Len > l.Len+1 {
					t.Fatalf("%q: %q", l.Text[:l.Len], w.Text[:w.Len])
				}
			}
			for _, v := range list(l.Env) {
				if !isVariable([]byte(v)) {
					t.Fatalf("%q in the environment", v)
				}
			}
		}
	})
}
