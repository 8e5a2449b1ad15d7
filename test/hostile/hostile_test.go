// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/runtime/linux"
)

// do names in the environment what a child does: the calls change the process.
const do = "HVGO_HOSTILE_DO"

func TestMain(m *testing.M) {
	if os.Getenv(do) == "" {
		os.Exit(m.Run())
	}
	PerPair = 0
	dir, err := os.MkdirTemp("", "hostile")
	if err == nil {
		switch os.Getenv(do) {
		case "table":
			err = Run(os.Stdout, dir)
		case "random":
			err = Random(1, 2000, dir)
		case "race":
			err = Race(1, 2000, dir)
		}
		os.RemoveAll(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child does that in a process of its own, and gives what it printed.
func child(t *testing.T, what string) []byte {
	t.Helper()
	if os.Getpid() == 1 {
		t.Skip("a guest has one process: command hostile does it there")
	}
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), do+"="+what)
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		c.Env = append(c.Env, "TMPDIR=/dev/shm") // fsync takes its time on a disk
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	return out
}

// TestTable: Linux gives all the answers, and equal ones a second time.
func TestTable(t *testing.T) {
	defer func(n int) { PerPair = n }(PerPair)
	PerPair = 0
	var both [2]Answers
	for i := range both {
		var err error
		if both[i], err = Parse(bytes.NewReader(child(t, "table"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range Compare(both[0], both[1]) {
		if !strings.Contains(w, "is listed, and there is none") {
			t.Errorf("two runs: %s", w)
		}
	}
}

func TestRandom(t *testing.T) { child(t, "random") }

func TestRace(t *testing.T) { child(t, "race") }

// untested are calls that no test may make, and why.
var untested = map[uintptr]string{
	unix.SYS_EXIT: "ends the thread", unix.SYS_EXIT_GROUP: "ends the program", unix.SYS_PAUSE: "waits for a signal",
	unix.SYS_RT_SIGRETURN: "takes what lies on the stack for the registers", unix.SYS_BRK: "not served; on Linux it moves memory that others may use",
	unix.SYS_MUNLOCKALL: "has no arguments", unix.SYS_SETSID: "leaves the session of the test",
	unix.SYS_ALARM: "sends a signal", unix.SYS_SETUID: "cannot be undone", unix.SYS_SETGID: "cannot be undone", unix.SYS_SETREUID: "cannot be undone",
	unix.SYS_SETREGID: "cannot be undone", unix.SYS_SETGROUPS: "cannot be undone", unix.SYS_SETRESUID: "cannot be undone", unix.SYS_SETRESGID: "cannot be undone",
	unix.SYS_SETFSUID: "cannot be undone", unix.SYS_SETFSGID: "cannot be undone", unix.SYS_CAPSET: "cannot be undone",
}

// TestAllCalls: what is served is in the table, or left out with a reason.
func TestAllCalls(t *testing.T) {
	in := map[uintptr]bool{}
	for _, c := range calls {
		in[c.nr] = true
	}
	for nr, leaf := range linux.Leaf {
		nr := uintptr(nr)
		switch {
		case leaf == linux.LeafNone:
		case in[nr] && untested[nr] != "":
			t.Errorf("%s is in the table, and left out", linux.CallName[nr])
		case !in[nr] && untested[nr] == "":
			t.Errorf("%s is served and not in the table", linux.CallName[nr])
		}
	}
}

// TestParse: answers of which the number is wrong are refused, equal ones are counted.
func TestParse(t *testing.T) {
	for _, line := range []string{"uname: =0*0", "uname: =0*-1", "uname: =0*x", "uname: =0*10001", "uname: =0*"} {
		if _, err := Parse(strings.NewReader("hostile: " + line + "\nhostile: end\n")); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
	a, err := Parse(strings.NewReader("hostile: uname: =0*2 EFAULT\r\nhostile: uname: EFAULT*3\nhostile: end\n"))
	if want := []string{"=0", "=0", "EFAULT", "EFAULT", "EFAULT", "EFAULT"}; !errors.Is(err, ErrUnfinished) || !slices.Equal(a["uname"], want) {
		t.Errorf("%q, %v; want %q", a["uname"], err, want)
	}
}

// TestCompare: a difference is noticed, one that is listed is not, and one that is
// listed in vain is.
func TestCompare(t *testing.T) {
	same := Answers{}
	for i := range calls {
		same[calls[i].name] = make([]string, len(calls[i].choices()))
		for k := range same[calls[i].name] {
			same[calls[i].name][k] = "=0"
		}
	}
	other := Answers{}
	for name, a := range same {
		other[name] = append([]string(nil), a...)
	}
	always := 0
	for _, d := range differences {
		if d.since == "" {
			always++
		}
	}
	if got := len(Compare(same, other)); got != always {
		t.Errorf("%d complaints about equal answers, want one for each of %d differences", got, always)
	}
	other["uname"][0] = "EFAULT"
	other["time"][0] = "ENOSYS" // listed
	got := strings.Join(Compare(same, other), "\n")
	if !strings.Contains(got, "uname(ptr): Linux =0, hvgo EFAULT") || strings.Contains(got, "time(null): ") {
		t.Error(got)
	}
}
