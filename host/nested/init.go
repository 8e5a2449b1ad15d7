// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nested

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/host/kvm"
)

// IsInit says whether this process is PID 1 of an emulated machine. A program
// that starts machines asks this first in main, and calls Init if so.
func IsInit() bool { return os.Getpid() == 1 && os.Args[0] == InitPath }

// Init is PID 1: it prepares the machine, runs the programs that it is told to
// run and powers off. It does not return.
func Init() {
	err := serve()
	// The stream is gone or never was: the console is the only place left.
	fmt.Fprintf(os.Stderr, "hvgo init: %v\n", err)
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	os.Exit(1) // the kernel panics, and QEMU ends
}

// serve answers frames until the stream ends.
func serve() error {
	if err := mountBasics(); err != nil {
		return err
	}
	port, err := openPort()
	if err != nil {
		return err
	}
	in := &inside{frames: newFrameConn(port)}
	for {
		kind, payload, err := in.frames.read()
		if err != nil {
			return err
		}
		if err := in.handle(kind, payload); err != nil {
			return err
		}
	}
}

// inside is PID 1's state: the stream and the running program.
type inside struct {
	frames *frameConn
	mu     sync.Mutex // guards job
	job    *job       // nil when no program runs
}

// handle deals with one frame; an error ends the machine. It must not block on
// the program.
func (in *inside) handle(kind byte, payload []byte) error {
	switch kind {
	case frameBeat:
	case frameSetup:
		var s setup
		if err := json.Unmarshal(payload, &s); err != nil {
			return fmt.Errorf("setup: %w", err)
		}
		return in.frames.writeJSON(frameReady, prepare(s))
	case frameRun:
		var r run
		if err := json.Unmarshal(payload, &r); err != nil {
			return fmt.Errorf("command: %w", err)
		}
		in.start(r)
	case frameStdin:
		if j := in.current(); j != nil {
			return j.stdin.push(payload)
		}
	case frameSignal:
		n, err := decodeUint32(payload)
		if err != nil {
			return err
		}
		if j := in.current(); j != nil {
			_ = j.process.Signal(syscall.Signal(n)) // it may just have ended
		}
	case frameHalt:
		unix.Sync()
		return in.frames.write(frameHalted, nil)
	default:
		return fmt.Errorf("frame of unknown kind %#x", kind)
	}
	return nil
}

func (in *inside) current() *job {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.job
}

// job is a running program.
type job struct {
	process *os.Process
	stdin   *inputQueue
	output  sync.WaitGroup // stdout and stderr, to their ends
}

// start starts a program; a goroutine reports its end.
func (in *inside) start(r run) {
	if in.current() != nil {
		in.report(0, errors.New("another program still runs"))
		return
	}
	// Forget what was cached of the shared folders: the outside may have changed them.
	_ = os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
	ts := unix.NsecToTimespec(r.Time)
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
		in.report(0, fmt.Errorf("set the clock: %w", err))
		return
	}
	j, err := startJob(r.Command, in.frames)
	if err != nil {
		in.report(0, err)
		return
	}
	in.mu.Lock()
	in.job = j
	in.mu.Unlock()
	go func() {
		status, err := j.wait()
		in.mu.Lock()
		in.job = nil
		in.mu.Unlock()
		in.report(status, err)
	}()
}

func (in *inside) report(status int, err error) {
	e := exit{Status: status}
	if err != nil {
		e.Err = err.Error()
	}
	_ = in.frames.writeJSON(frameExit, e) // when the stream is broken, serve ends
}

// startJob starts the program with three pipes.
func startJob(c Command, frames *frameConn) (_ *job, err error) {
	var files []*os.File // all six ends; ours are taken out when the program runs
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		files = append(files, r, w)
	}
	j := &job{stdin: newInputQueue()}
	j.process, err = os.StartProcess(c.Path, append([]string{c.Path}, c.Args...), &os.ProcAttr{
		Dir: c.Dir, Env: c.Env,
		Files: []*os.File{files[0], files[3], files[5]},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, err
	}
	stdin, stdout, stderr := files[1], files[2], files[4]
	files = []*os.File{files[0], files[3], files[5]}
	go j.stdin.feed(stdin, frames)
	j.output.Go(func() { drain(stdout, frameWriter{frames, frameStdout}) })
	j.output.Go(func() { drain(stderr, frameWriter{frames, frameStderr}) })
	return j, nil
}

// drain copies a pipe to its end.
func drain(r *os.File, w frameWriter) {
	defer r.Close()
	buf := make([]byte, stdinChunk)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait returns the program's exit status when it has ended, nothing that it
// started runs any more, and all its output and its files are outside.
func (j *job) wait() (int, error) {
	state, err := j.process.Wait()
	j.stdin.close()
	_ = unix.Kill(-1, unix.SIGKILL) // all but PID 1; ESRCH: nothing left
	j.output.Wait()
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
			break
		}
	}
	unix.Sync()
	if err != nil {
		return 0, err
	}
	ws, ok := state.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return state.ExitCode(), nil
}

// inputQueue holds input that the program has not taken yet: at most
// stdinWindow bytes, which is what the outside promises.
type inputQueue struct {
	mu     sync.Mutex // guards the fields below
	cond   *sync.Cond
	b      []byte
	eof    bool
	closed bool
}

func newInputQueue() *inputQueue {
	q := &inputQueue{}
	q.cond = sync.NewCond(&q.mu)
	return q
}

// push adds a frame's bytes; none means end of file.
func (q *inputQueue) push(p []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.b)+len(p) > stdinWindow {
		return errors.New("more input than announced")
	}
	q.b = append(q.b, p...)
	q.eof = q.eof || len(p) == 0
	q.cond.Broadcast()
	return nil
}

func (q *inputQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.cond.Broadcast()
}

// next waits for bytes; nil means that there will be none.
func (q *inputQueue) next() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.b) == 0 && !q.eof && !q.closed {
		q.cond.Wait()
	}
	if q.closed {
		return nil
	}
	b := q.b
	q.b = nil
	return b
}

// feed writes the queue to the program and says how much it took.
func (q *inputQueue) feed(w *os.File, frames *frameConn) {
	defer w.Close()
	for {
		b := q.next()
		if len(b) == 0 {
			return
		}
		for len(b) > 0 {
			// In pieces, so that what counts as taken is what the pipe has
			// room for. A program that reads no more is no error.
			n, err := w.Write(b[:min(len(b), stdinChunk)])
			if err != nil {
				return
			}
			b = b[n:]
			q.mu.Lock()
			closed := q.closed
			q.mu.Unlock()
			if closed || frames.writeUint32(frameStdinTaken, uint32(n)) != nil {
				return
			}
		}
	}
}

// mountBasics mounts what the kernel itself provides.
func mountBasics() error {
	for _, m := range []struct{ kind, dir string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"},
		{"tmpfs", "/dev/shm"}, {"devpts", "/dev/pts"},
	} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	_ = os.Chmod("/tmp", 0o777|os.ModeSticky)
	// For guests that ask for it (vmm.Config.HugePages); without, they are slower.
	_ = os.WriteFile("/sys/kernel/mm/transparent_hugepage/shmem_enabled", []byte("advise"), 0)
	return nil
}

// openPort opens the virtio-serial port. The driver finds it a little after
// PID 1 has started.
func openPort() (*os.File, error) {
	for deadline := time.Now().Add(startTimeout / 2); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, n := range names {
			b, err := os.ReadFile(n)
			if err != nil || strings.TrimSpace(string(b)) != portName {
				continue
			}
			f, err := os.OpenFile(filepath.Join("/dev", filepath.Base(filepath.Dir(n))), os.O_RDWR, 0)
			if err == nil {
				return f, nil
			}
		}
	}
	return nil, errors.New("no virtio-serial port " + portName)
}

// prepare does all that comes before the first program.
func prepare(s setup) ready {
	var r ready
	if err := prepareSteps(s); err != nil {
		r.Err = err.Error()
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err == nil {
		r.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	up, _ := os.ReadFile("/proc/uptime")
	first, _, _ := strings.Cut(string(up), " ")
	r.Uptime, _ = strconv.ParseFloat(first, 64)
	return r
}

func prepareSteps(s setup) error {
	if s.Hostname != "" {
		_ = unix.Sethostname([]byte(s.Hostname))
	}
	kvmLoaded := make(chan error, 1)
	go func() { kvmLoaded <- insertModules(virtualisation) }()
	if err := insertModules(sharesAndNetwork); err != nil {
		return err
	}
	if err := raiseLimits(); err != nil {
		return err
	}
	if err := mountShares(s.Shares); err != nil {
		return err
	}
	if err := writeEtc(); err != nil {
		return err
	}
	if err := setUpNetwork(); err != nil {
		return err
	}
	if err := forward(s.Ports); err != nil {
		return err
	}
	if err := <-kvmLoaded; err != nil {
		return err
	}
	if err := os.RemoveAll(modulesDir); err != nil { // gives the memory back
		return err
	}
	// Held to the end: while it exists, KVM changes no code of this kernel.
	if _, err := kvm.Pin(); err != nil {
		return err
	}
	return kvm.Usable()
}

// insertModules loads one chain of modules in the order of their names. A
// module that is in both chains is no error, and the kernel itself waits for one
// that is still being loaded.
func insertModules(chain int) error {
	files, err := filepath.Glob(filepath.Join(modulesDir, strconv.Itoa(chain)+"-*.ko"))
	if err != nil {
		return err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load module %s: %w", filepath.Base(name), err)
		}
	}
	return nil
}

// raiseLimits gives programs as many files and as much locked memory as they
// like.
func raiseLimits() error {
	const files = 1 << 20 // the kernel's fs.nr_open
	// syscall's, not unix's: package syscall restores the old limit in children
	// unless it sees the change.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: files}); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	inf := &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, inf); err != nil {
		return fmt.Errorf("limit of locked memory: %w", err)
	}
	return nil
}

// mountShares mounts each share at its path. cache=loose lets files be mapped
// and read ahead; nobody else changes them while a program runs, and start drops
// the cache between programs. msize is the largest that the transport takes.
func mountShares(shares []Share) error {
	for i, s := range shares {
		if err := os.MkdirAll(s.Path, 0o755); err != nil {
			return fmt.Errorf("share %s: %w", s.Path, err)
		}
		var flags uintptr
		if !s.Writable {
			flags = unix.MS_RDONLY
		}
		const opts = "trans=virtio,version=9p2000.L,cache=loose,msize=512000"
		if err := unix.Mount("share"+strconv.Itoa(i), s.Path, "9p", flags, opts); err != nil {
			return fmt.Errorf("share %s: %w", s.Path, err)
		}
	}
	return nil
}

// writeEtc writes the few files that Go's packages read.
func writeEtc() error {
	if err := os.MkdirAll("/etc", 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"resolv.conf": "nameserver " + dnsAddr + "\n",
		"hosts":       "127.0.0.1 localhost\n",
		"passwd":      "root:x:0:0:root:/:/bin/sh\n",
		"group":       "root:x:0:\n",
	} {
		if err := os.WriteFile(filepath.Join("/etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// signalNumber returns the number of a Linux signal.
func signalNumber(s os.Signal) (uint32, bool) {
	n, ok := s.(syscall.Signal)
	return uint32(n), ok && n > 0
}
