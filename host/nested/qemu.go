// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nested

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/hvgo/hvgo/host/debian"
	"github.com/hvgo/hvgo/internal/socketpair"
)

const (
	qemuProgram = "qemu-system-x86_64"
	qemuPackage = "qemu-system-x86"
	portName    = "hvgo" // of the virtio-serial port

	// kernelArgs: mitigations cost much and protect nobody here; tsc=reliable
	// is what makes KVM's reference TSC page valid; the rest saves time at the
	// start. Without no_timer_check a busy machine looks as if its timer did not work. A
	// panic ends QEMU, by -no-reboot.
	kernelArgs = "console=ttyS0 loglevel=3 panic=-1 mitigations=off tsc=reliable no5lvl nokaslr no_timer_check " +
		"random.trust_cpu=on audit=0 nowatchdog cryptomgr.notests rcupdate.rcu_expedited=1 " +
		"8250.nr_uarts=1 i8042.noprobe=1"
)

// qemu is a running QEMU with one stream into it.
type qemu struct {
	conn    net.Conn // the virtio-serial port
	console *tail    // what the kernel and QEMU said
	process *os.Process
	dead    chan struct{} // closed when QEMU has ended
	err     error         // how; read it after dead
}

// startQEMU starts QEMU as its own process group, so that Ctrl-C on the
// terminal reaches us alone; the kernel kills it if we die first.
func startQEMU(cfg Config, e *emulator, k *kernel, initramfs *os.File) (*qemu, error) {
	ours, theirs, err := socketpair.New("port")
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	q := &qemu{conn: ours, console: &tail{max: 16 << 10}, dead: make(chan struct{})}
	cmd := exec.Command(e.path, append(e.args(), qemuArgs(cfg, k.image)...)...)
	cmd.ExtraFiles = []*os.File{initramfs, theirs} // 3 and 4: see qemuArgs
	cmd.Stdout, cmd.Stderr = q.console, q.console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	started := make(chan error)
	go func() {
		// Pdeathsig goes off when the thread that forked ends, so that thread
		// stays with this goroutine until QEMU is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		q.err = cmd.Wait()
		close(q.dead)
	}()
	if err := <-started; err != nil {
		ours.Close()
		return nil, fmt.Errorf("start %s: %w", qemuProgram, err)
	}
	q.process = cmd.Process
	return q, nil
}

// qemuArgs returns QEMU's arguments. File descriptor 3 is the initramfs, 4 our
// end of the port.
func qemuArgs(cfg Config, image string) []string {
	args := []string{
		"-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max",
		"-smp", strconv.Itoa(cfg.CPUs), "-m", strconv.Itoa(cfg.MemoryMiB),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-kernel", image, "-initrd", "/proc/self/fd/3", "-append", kernelArgs,
		"-device", "virtio-serial-pci",
		"-chardev", "socket,id=port,fd=4", "-device", "virtserialport,chardev=port,name=" + portName,
		"-netdev", netdev(cfg.Forward), "-device", "virtio-net-pci,netdev=net,romfile=",
	}
	for i, s := range cfg.Shares {
		id := "share" + strconv.Itoa(i)
		dev := "local,id=" + id + ",security_model=none,multidevs=remap,path=" + strings.ReplaceAll(s.Path, ",", ",,")
		if !s.Writable {
			dev += ",readonly=on"
		}
		args = append(args, "-fsdev", dev, "-device", "virtio-9p-pci,fsdev="+id+",mount_tag="+id)
	}
	return args
}

// netdev describes QEMU's user-mode network. PID 1 passes connections on from
// the address that hostfwd knows to 127.0.0.1.
func netdev(forward []netip.AddrPort) string {
	var b strings.Builder
	b.WriteString("user,id=net,ipv6=off")
	for i, f := range forward {
		fmt.Fprintf(&b, ",hostfwd=tcp:%v-%s:%d", f, insideAddr, proxyPort+i)
	}
	return b.String()
}

// kill ends QEMU and returns when it is gone.
func (q *qemu) kill() {
	// The group, although QEMU starts nothing itself. ESRCH: already gone.
	if err := syscall.Kill(-q.process.Pid, syscall.SIGKILL); err != nil {
		_ = q.process.Kill()
	}
	<-q.dead
	q.conn.Close()
}

// errQEMUEnded means that the machine is gone.
var errQEMUEnded = errors.New("QEMU ended unexpectedly")

// explain turns the failure of the stream into what a person can use: QEMU's or
// the kernel's last words when QEMU has died.
func (q *qemu) explain(err error) error {
	select {
	case <-q.dead:
	default:
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			return err
		}
		<-q.dead // the stream is closed only by QEMU's end
	}
	how := "exit status 0"
	if q.err != nil {
		how = q.err.Error()
	}
	words := q.console.lastWords()
	if words == "" {
		words = "it said nothing"
	}
	return fmt.Errorf("%w (%s): %s", errQEMUEnded, how, words)
}

// tail keeps the last max bytes that were written to it.
type tail struct {
	max int
	mu  sync.Mutex // guards b
	b   []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 2*t.max {
		t.b = append(t.b[:0], t.b[len(t.b)-t.max:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b[max(0, len(t.b)-t.max):])
}

// lastWords returns one line: the kernel's panic if it had one, else the last
// line said, without escape sequences.
func (t *tail) lastWords() string {
	text := t.String()
	for line := range strings.Lines(text) {
		if strings.Contains(line, "Kernel panic") {
			return printable(line)
		}
	}
	return printable(debian.LastLine([]byte(text)))
}

// printable removes control characters.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s))
}
