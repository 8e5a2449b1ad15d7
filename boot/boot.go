// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hvgo/hvgo/drivers/balloon"
	"github.com/hvgo/hvgo/drivers/ic"
	"github.com/hvgo/hvgo/drivers/netvsc"
	"github.com/hvgo/hvgo/drivers/storvsc"
	"github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/hv"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/netstack"
	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
	"github.com/hvgo/hvgo/runtime/trap"
)

// leaseWait is how long main waits for an address; the DHCP client goes on
// behind it.
const leaseWait = 10 * time.Second

// Start finds the machine's devices and plugs them into the Linux ABI. It is
// called before main.main; in a program that was started by Linux it does
// nothing. What is missing is said on the console, and the program goes on
// with what there is.
func Start() {
	if !trap.Booted {
		return
	}
	say("Hyper-V %d.%d.%d, %d MiB, processors: %d, clock: %s, timer: %s", hv.Host.Version>>16, hv.Host.Version&0xffff, hv.Host.Build,
		mib(Machine.MemoryBytes), ring0.NumCPUs(), hv.TimeSource(), hv.TimerMode())
	sayLost()
	linux.Uptime = func() time.Duration { return time.Duration(hv.Now()) }
	linux.Threads = func() int { return int(sched.Alive()) }
	linux.CPUTime = func() (user, system time.Duration, maxRSS uint64) {
		// Program and kernel are one: all that is not idle counts as the program's.
		busy := (hv.Now()-Machine.Started)*int64(ring0.NumCPUs()) - sched.IdleTime()
		return time.Duration(busy), 0, mem.Resident() * mem.PageSize
	}
	linux.Raise = func(sig int) { trap.Kernel(trap.KernelSignal, uintptr(sig), 0, 0) }
	linux.RegisterText("/proc/cmdline", func() string { return text(handed.Line.Text[:handed.Line.Len]) + "\n" })
	if handed.Line.Cut {
		say("the command line is longer than %d bytes: the words behind that are left out", len(handed.Line.Text))
	}
	firmwareTablesToFiles()
	m := &machine{log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	linux.SetTmpLimit(int64(mem.Total() / 2 * mem.PageSize)) // as Linux does
	m.limit.start()
	if f, err := newEvent("late writes"); err == nil {
		go trap.LateWriter(f.Fd(), (&event{file: f}).Wait)
	}
	m.startNetwork()
	if err := m.connect(); err != nil {
		say("VMBus: %v: no disks and no network", err)
		return
	}
	m.attach()
	say("ready after %d ms", time.Duration(hv.Now()-Machine.Started).Milliseconds())
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "hvgo: "+format+"\n", args...) }

// machine is what Start puts together.
type machine struct {
	log   *slog.Logger
	p     *platform
	bus   *vmbus.Bus
	stack *netstack.Stack
	limit memoryLimit

	leased <-chan struct{} // closed when there is an address

	mu          sync.Mutex // guards all below
	controllers []*storvsc.Controller
	nic         *netvsc.NIC
	services    []*ic.Service
	balloon     *balloon.Balloon
}

// startNetwork makes the network stack, with the loopback interface only.
func (m *machine) startNetwork() {
	leased := make(chan struct{})
	var once sync.Once
	s, err := netstack.New(netstack.Options{Log: m.log, Hostname: linux.Hostname(), OnLease: func(l *netstack.Lease) {
		if l != nil {
			say("network: %s, gateway %s", l.Address, l.Gateway)
			once.Do(func() { close(leased) })
		}
	}})
	if err != nil {
		say("network: %v", err)
		return
	}
	m.stack, m.leased = s, leased
	linux.RegisterNetwork(s)
	linux.RegisterText("/etc/resolv.conf", s.ResolvConf)
	own := linux.Hostname
	linux.Hostname = func() string {
		if name := s.Hostname(); name != "" {
			return name
		}
		return own()
	}
}

func (m *machine) connect() (err error) {
	if m.p, err = newPlatform(); err != nil {
		return err
	}
	if m.bus, err = vmbus.Connect(m.p, m.log); err != nil {
		return err
	}
	say("VMBus %v, %d offers", m.bus.Version(), len(m.bus.Offers()))
	return nil
}

// attach opens all devices that the host offered: disks and network at the
// same time, since both wait for the host more than they compute.
func (m *machine) attach() {
	trap.BeforeExit = func(int) { m.stop() }
	m.attachShutdown()
	m.watchConsole()
	m.attachMemory()
	var wg sync.WaitGroup
	wg.Go(m.attachDisks)
	wg.Go(m.attachNetwork)
	wg.Wait()
	go m.attachServices() // nobody waits for them
}

func (m *machine) attachDisks() {
	var disks []*storvsc.Disk
	for _, o := range m.bus.Find(wire.InterfaceSCSI) {
		c, err := storvsc.Attach(m.bus, m.p, o, m.log)
		if err != nil {
			say("disks: %v", err)
			continue
		}
		m.mu.Lock()
		m.controllers = append(m.controllers, c)
		m.mu.Unlock()
		disks = append(disks, c.Disks()...)
	}
	if len(disks) == 0 {
		say("no disk found")
	}
	for i, d := range disks {
		name := diskName(i)
		if err := linux.RegisterBlock(name, d); err != nil {
			say("disk %s: %v", name, err)
			continue
		}
		say("disk %s: %s, %d MiB, blocks of %d bytes", name, d.Model(), d.Size()>>20, d.BlockSize())
	}
}

// diskName is Linux's name of disk i: sda to sdz, sdaa and so on.
func diskName(i int) string {
	name := ""
	for i++; i > 0; i = (i - 1) / 26 {
		name = string(rune('a'+(i-1)%26)) + name
	}
	return "sd" + name
}

func (m *machine) attachNetwork() {
	if m.stack == nil {
		return
	}
	offers := m.bus.Find(wire.InterfaceNetwork)
	if len(offers) == 0 {
		say("no network card found")
		return
	}
	nic, err := netvsc.Attach(m.p, m.bus, offers[0], netvsc.Options{Log: m.log})
	if err == nil {
		err = m.stack.AttachNIC(nic)
	}
	if err != nil {
		say("network card: %v", err)
		return
	}
	m.mu.Lock()
	m.nic = nic
	m.mu.Unlock()
	mac := nic.MAC()
	say("network card %x:%x:%x:%x:%x:%x, NVSP %v, MTU %d", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], nic.Version(), nic.MTU())
	if len(offers) > 1 {
		say("%d more network cards are not used", len(offers)-1)
	}
	select {
	case <-m.leased:
	case <-time.After(leaseWait):
		say("network: no address after %v; going on without, still asking", leaseWait)
	}
}

// flush makes all that was written to the disks durable.
func (m *machine) flush() {
	m.mu.Lock()
	controllers := slices.Clone(m.controllers)
	m.mu.Unlock()
	for _, c := range controllers {
		for _, d := range c.Disks() {
			if d.ReadOnly() {
				continue
			}
			if err := d.Flush(); err != nil {
				say("flush: %v", err)
			}
		}
	}
}

// stopWait bounds the giving back of devices. The flush before it has the disk
// driver's own, longer bound: it is what data depends on.
const stopWait = 3 * time.Second

// stop gives the devices back to the host before the machine ends.
func (m *machine) stop() {
	m.flush()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if m.stack != nil {
			linux.StopNetwork()
			m.stack.Close()
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.nic != nil {
			m.nic.Close()
		}
		for _, c := range m.controllers {
			c.Close()
		}
		for _, s := range m.services {
			s.Close()
		}
		if m.balloon != nil {
			m.balloon.Close()
		}
		_ = m.bus.Unload() // if it has not sent its message, trap does
	}()
	select {
	case <-done:
	case <-time.After(stopWait):
		say("a device does not let go; ending without it")
	}
}

// shutDown follows the host's wish: the program gets SIGTERM, which ends it
// unless it has asked to be told (os/signal).
func (m *machine) shutDown(r ic.Request) {
	say("the host asks to shut down")
	trap.Restart, trap.ShutdownAsked = r.Restart, true
	go func() {
		m.flush()
		trap.Kernel(trap.KernelSignal, 15, 0, 0)
	}()
}
