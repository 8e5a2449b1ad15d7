// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/image/vhdx"
	"github.com/hvgo/hvgo/test/vm/pattern"
)

// bootProbe starts guests/probe with commands on its second disk.
func bootProbe(t testing.TB, o options, commands ...string) *vm {
	t.Helper()
	list := &memoryDisk{b: make([]byte, 4096)}
	copy(list.b[:len(list.b)-1], strings.Join(commands, "\n"))
	o.image = probeImage
	o.disks = append([]guest.Block{list}, o.disks...)
	return boot(t, o)
}

// passes waits for the end of probe and checks each command's result.
func (v *vm) passes(commands ...string) {
	v.t.Helper()
	e := v.wait(5 * time.Minute)
	text, _ := v.console.text()
	for _, c := range commands {
		m := regexp.MustCompile(`(?m)^probe: (ok|FAIL) ` + regexp.QuoteMeta(c) + `: (.*)$`).FindStringSubmatch(text)
		switch {
		case m == nil:
			v.t.Errorf("%s: no result", c)
		case m[1] != "ok":
			v.t.Errorf("%s: %s", c, m[2])
		default:
			v.t.Logf("%s: %s", c, strings.TrimSpace(m[2]))
		}
	}
	if e != (machine.Exit{Kind: vmm.Shutdown}) || !strings.Contains(text, "probe: done") {
		v.t.Errorf("ended with %v", e)
	}
}

// TestRuntime is what programs ask of the runtime beneath them.
func TestRuntime(t *testing.T) {
	for name, commands := range map[string][]string{
		"memory":    {"gc", "memory", "dontneed", "protect", "gc"},
		"stacks":    {"stacks", "syscall-stacks"},
		"scheduler": {"preempt", "timers", "clock", "nil", "channels", "cpu"},
		"signals":   {"panic-on-fault", "ignored", "sigwait", "restart", "signals"},
		"profiler":  {"profile", "profile-stress", "intervals", "profile", "gc"},
		"files":     {"files", "proc", "devices", "pipes"},
		"loopback":  {"loopback", "udp", "sockets", "half-close", "deadlines", "unix", "interfaces lo 127.0.0.1/8 ::1/128 loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			v := bootProbe(t, options{noNetwork: true}, commands...)
			v.passes(commands...)
		})
	}
}

// TestTimersByMessage is the scheduler on hosts without direct timers and clock page.
func TestTimersByMessage(t *testing.T) {
	commands := []string{"preempt", "timers", "clock", "channels", "profile"}
	o := options{noNetwork: true}
	o.quirks(t, "openvmm")
	bootProbe(t, o, commands...).passes(commands...)
}

// TestEnds is how programs end, and what the host learns of it.
func TestEnds(t *testing.T) {
	for _, tt := range []struct {
		command string
		status  uint64
		says    string
	}{
		{"exit 0", 0, ""},
		{"exit 1", 1, ""},
		{"exit 77", 77, ""},
		{"panic", 2, "panic: this is the end"},
		{"crash", 2, "[signal SIGSEGV"},
		{"stack-overflow", 2, "stack overflow"},
		{"out-of-memory", 137, "out of memory: the program uses"},
		{"fatal", 2, "fatal error: sync: unlock of unlocked mutex"},
	} {
		t.Run(tt.command, func(t *testing.T) {
			v := bootProbe(t, options{noNetwork: true, Config: guest.Config{Machine: machine.Config{Memory: 64 * mib}}}, tt.command)
			e := v.wait(patience)
			switch {
			case tt.status == 0 && e == (machine.Exit{Kind: vmm.Shutdown}):
			case tt.status != 0 && e.Kind == vmm.Crash && e.Params[0] == 0x4F475648 && e.Params[1] == tt.status:
			default:
				t.Errorf("ended with %v", e)
			}
			v.waitFor(tt.says)
		})
	}
}

// TestSIGTERM asks for a shutdown that the program handles, and one that it does not.
func TestSIGTERM(t *testing.T) {
	for command, want := range map[string]string{"sigterm": "probe: ok sigterm: terminated", "wait": ""} {
		t.Run(command, func(t *testing.T) {
			v := bootProbe(t, options{noNetwork: true}, command)
			v.waitFor("probe: waiting")
			v.shutDown()
			v.waitFor(want)
		})
	}
}

// TestDisk writes a GiB to a VHDX, which is then read by the guest, by the host from
// the file, and by another guest.
func TestDisk(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() {
		size = 64 * mib
	}
	need(t, probeImage)
	name := filepath.Join(t.TempDir(), "data.vhdx")
	d, err := vhdx.CreateFile(name, vhdx.Options{Size: size, BlockSize: 32 * mib})
	if err != nil {
		t.Fatal(err)
	}
	command := fmt.Sprintf("fill /dev/sdc %d", size)
	start := time.Now()
	v := bootProbe(t, options{noNetwork: true, disks: []guest.Block{guest.VHDX(d)}}, command)
	v.passes(command)
	v.close()
	t.Logf("written and read by the guest after %.0f s", time.Since(start).Seconds())
	if d, err = vhdx.OpenFile(name, true); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var sum uint64
	b := make([]byte, 4*mib)
	for at := int64(0); at < size; at += int64(len(b)) {
		if _, err := d.ReadAt(b, at); err != nil {
			t.Fatal(err)
		}
		if bad := pattern.Differs(b, at); bad >= 0 {
			t.Fatalf("byte %d differs", at+int64(bad))
		}
		sum += pattern.Sum(b, at)
	}
	t.Logf("and by the host after %.0f s", time.Since(start).Seconds())
	v.waitFor(fmt.Sprintf("sum %016x", sum))
}

// TestDiskEdges is a disk that is small, one that is read-only, and one with a
// block that cannot be read.
func TestDiskEdges(t *testing.T) {
	const size = 3*mib + 512
	commands := []string{fmt.Sprintf("disk-errors /dev/sdc %d", size), "sum /dev/sdd 1048576", "gc"}
	full := &memoryDisk{b: make([]byte, mib), readOnly: true}
	pattern.Fill(full.b, 0)
	v := bootProbe(t, options{noNetwork: true, disks: []guest.Block{&memoryDisk{b: make([]byte, size)}, full}}, commands...)
	v.passes(commands...)
}

// TestNetwork uses the network card from the inside: names, TCP and UDP to services
// of the host's.
func TestNetwork(t *testing.T) {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	go serveEcho(tcp)
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	go serveDatagrams(udp)
	const gateway = "gateway.hvgo.internal"
	commands := []string{
		"dns " + gateway,
		"dns tested.hvgo.internal",
		"interfaces eth0 /24 broadcast",
		fmt.Sprintf("dial %s:%d", gateway, tcp.Addr().(*net.TCPAddr).Port),
		fmt.Sprintf("udp-to %s:%d", gateway, udp.LocalAddr().(*net.UDPAddr).Port),
	}
	v := bootProbe(t, options{}, commands...)
	v.passes(commands...)
	v.waitFor("dns " + gateway + ": " + v.net.Gateway().String())
	v.waitFor("dns tested.hvgo.internal: " + v.net.Guest().String())
}

// TestClosedDescriptors: network, disks, sockets and timers work in a program that has
// closed all descriptors. At the end the runtime closes its own.
func TestClosedDescriptors(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go serveEcho(l)
	commands := []string{
		"close-all",
		fmt.Sprintf("dial gateway.hvgo.internal:%d", l.Addr().(*net.TCPAddr).Port),
		"fill /dev/sdc 1048576", "unix", "channels", "close-all",
	}
	v := bootProbe(t, options{disks: []guest.Block{&memoryDisk{b: make([]byte, mib)}}}, commands...)
	v.passes(commands...)
}

func serveEcho(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c) // the guest notices
		}()
	}
}

func serveDatagrams(c net.PacketConn) {
	b := make([]byte, 65536)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(b[:n], from) // the guest notices
	}
}
