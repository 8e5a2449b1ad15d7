// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/serial"
	"golang.org/x/arch/x86/x86asm"
)

// said gives what f printed: without COM1, a UART, it goes nowhere but to Tail.
func said(t *testing.T, f func()) string {
	t.Helper()
	f()
	b := make([]byte, len(serial.Tail))
	return string(b[:serial.LastText(uintptr(unsafe.Pointer(&b[0])))])
}

// TestSymbols holds our reading of the tables against the runtime's, over the text
// of this program.
func TestSymbols(t *testing.T) {
	if !Known() {
		t.Fatalf("the linker's tables are of version %#x: is everything in symbols.go still right?", *module().header)
	}
	m := module()
	looked := 0
	for pc := m.text; pc < m.etxt; pc += 61 {
		want := runtime.CallersFrames([]uintptr{pc + 1, 1}) // without the second it leaves outer calls out
		f := find(pc)
		for n := 0; ; n++ {
			w, more := want.Next()
			if w.PC == 0 || w.Entry > pc { // the runtime looks up pc+1
				break
			}
			looked++
			if f == nil {
				t.Fatalf("%#x is in no function; the runtime says %s", pc, w.Function)
			}
			got, ok := f.call(pc, n)
			name, _, generic := strings.Cut(got.name, "[")
			wanted, _, _ := strings.Cut(w.Function, "[")
			same := ok && (name == wanted || wanted == "") // the runtime has no name for what stands first in the table
			if !same && !generic || got.file != w.File || int(got.line) != w.Line {
				t.Fatalf("%#x call %d: %+v; the runtime says %s %s:%d", pc, n, got, w.Function, w.File, w.Line)
			}
			if !more {
				break
			}
		}
	}
	if looked < 10000 {
		t.Errorf("only %d places looked at", looked)
	}
	for _, pc := range []uintptr{0, 1, m.text - 1, m.etxt, m.etxt + 1<<40, ^uintptr(0)} {
		if f := find(pc); f != nil {
			t.Errorf("%#x is in a function", pc)
		}
	}
}

// TestBadTables reads tables that end too early or lead outside.
func TestBadTables(t *testing.T) {
	b := []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80}
	for n := range len(b) + 1 {
		short := table{at: uintptr(unsafe.Pointer(&b[0])), n: uintptr(n)}
		if v, next := short.varint(0); next != 0 {
			t.Errorf("a number of %d bytes without an end is %d", n, v)
		}
		if got := short.text(uintptr(n)); got != "?" {
			t.Errorf("the text behind %d bytes is %q", n, got)
		}
	}
	f := *find(module().text)
	f.stackValues = ^uint32(0)
	if v := f.value(f.stackValues, f.start()); v != -1 {
		t.Errorf("a value from outside is %d", v)
	}
	f.unit = ^uint32(0)
	if file, _ := f.line(f.start()); file != "?" {
		t.Errorf("a file from outside is %q", file)
	}
	runtime.KeepAlive(b)
}

//go:noinline
func outerCall(g *uintptr, wait chan struct{}) int { return innerCall(g, wait) + 1 }

//go:noinline
func innerCall(g *uintptr, wait chan struct{}) int {
	*g = uintptr(unsafe.Pointer(ring0.Getg()))
	var big [200]byte
	<-wait
	return int(big[len(wait)])
}

// TestBacktrace walks the stack of a goroutine that waits.
func TestBacktrace(t *testing.T) {
	wait, done := make(chan struct{}), make(chan int)
	g := new(uintptr)
	go func() { done <- outerCall(g, wait) }()
	var text string
	for range 1000 {
		time.Sleep(time.Millisecond)
		if *g == 0 {
			continue
		}
		pc, _ := word(*g + ring0.GSchedPC)
		sp, _ := word(*g + ring0.GSchedSP)
		bp, _ := word(*g + ring0.GSchedBP)
		f := ring0.Frame{RIP: uint64(pc), RSP: uint64(sp), RBP: uint64(bp)}
		text = said(t, func() {
			serial.Print("begin\n")
			Backtrace(&f, 0)
		})
		text = text[strings.LastIndex(text, "begin\n"):]
		if strings.Contains(text, "gopark") {
			break
		}
	}
	close(wait)
	<-done
	want := `runtime\.gopark\+0x[0-9a-f]+\n .*/proc\.go:\d+\n(?s:.*)/report\.innerCall\+0x[0-9a-f]+\n .*/report_test\.go:\d+\n` +
		`  .*/report\.outerCall\+0x[0-9a-f]+\n .*/report_test\.go:\d+\n  .*/report\.TestBacktrace\.func1\+0x[0-9a-f]+\n(?s:.*)runtime\.goexit`
	if !regexp.MustCompile(want).MatchString(text) {
		t.Errorf("the backtrace is\n%s", text)
	}
}

// TestBacktraceFromNowhere is a call of what is no function, and a stack of zeroes.
func TestBacktraceFromNowhere(t *testing.T) {
	stack := [4]uintptr{find(module().text).start() + 1}
	f := ring0.Frame{RIP: 0x10, RSP: uint64(uintptr(unsafe.Pointer(&stack)))}
	text := said(t, func() {
		serial.Print("nowhere:\n")
		Backtrace(&f, 0)
	})
	_, text, _ = strings.Cut(text, "nowhere:\n")
	if lines := strings.Split(text, "\n"); !strings.HasPrefix(text, "  0x10 is not in the program's text\n  ") || len(lines) < 3 {
		t.Errorf("the backtrace is\n%s", text)
	}
	runtime.KeepAlive(&stack)
}

// TestShow prints instructions as x86asm does, all those of this program that it can
// decode, but for addresses, which are made whole here.
func TestShow(t *testing.T) {
	m := module()
	text := unsafe.Slice((*byte)(ring0.Pointer(m.text)), m.etxt-m.text)
	looked := 0
	var out bytes.Buffer
	for at := 0; at < len(text); {
		in, err := x86asm.Decode(text[at:], 64)
		if err != nil {
			at++
			continue
		}
		here := at
		at += in.Len
		if looked++; looked%40 != 0 {
			continue
		}
		got := said(t, func() {
			serial.Print("\x00")
			show(&in, m.text+uintptr(here))
		})
		got = got[strings.LastIndexByte(got, 0)+1:]
		want := in.String()
		if _, jump := in.Args[0].(x86asm.Rel); jump || strings.Contains(want, "[RIP") || strings.Contains(want, "-0x") || strings.Contains(got, "S:") ||
			strings.Contains(want, "REX") || strings.Contains(want, "REP") || strings.Contains(want, "Prefix") || strings.Contains(want, "DATA") || strings.Contains(want, "DS ") {
			continue
		}
		if got != want {
			fmt.Fprintf(&out, "%q, x86asm has %q\n", got, want)
		}
	}
	if looked < 100000 || out.Len() > 0 {
		t.Errorf("of %d instructions these differ:\n%.2000s", looked, out.String())
	}
	in, _ := x86asm.Decode([]byte{0x48, 0x8b, 0x41, 0xf0}, 64)
	if got := said(t, func() { show(&in, 0) }); !strings.HasSuffix(got, "MOV RAX, [RCX-0x10]") {
		t.Error(got[max(0, len(got)-40):])
	}
	in, _ = x86asm.Decode([]byte{0xe8, 0, 0, 0, 0}, 64)
	f := find(uintptr(m.text))
	if got := said(t, func() { show(&in, f.start()-4) }); !strings.HasSuffix(got, "CALL "+m.names.text(uintptr(f.name))+"+0x1") {
		t.Error(got[max(0, len(got)-80):])
	}
}

func TestMain(m *testing.M) {
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		return
	}
	os.Exit(m.Run())
}
