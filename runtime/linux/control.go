// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync/atomic"
	"syscall"
)

// Limits of control messages.
const (
	maxRights     = 253       // descriptors in one message (SCM_MAX_FD)
	maxControl    = 128 << 10 // bytes of control messages (net.core.optmem_max)
	cmsgHeader    = 16        // struct cmsghdr: length, level, type
	scmRights     = 1
	scmCreds      = 2
	credSize      = 12 // struct ucred: pid, uid, gid
	cmsgAlignment = 8
)

// ucred is struct ucred.
type ucred [credSize]byte

var (
	rootCred = ucred{0: thePID}
	nobody   = ucred{4: 255, 5: 255, 6: 255, 7: 255, 8: 255, 9: 255, 10: 255, 11: 255}
)

// control is what travels with a message: descriptors, and who sent it. nil is nothing.
type control struct {
	rights   []*description // each holds a reference
	cred     ucred
	showCred bool // the receiver wants to be told
	cut      bool // there was more than the receiver can be given
}

// rightsInFlight counts the descriptors that are in queues. What is sent into its own queue is never
// received and never closed, so there has to be a limit: ETOOMANYREFS.
var rightsInFlight atomic.Int64

// release closes the descriptors that nobody has received.
func (c *control) release() {
	if c == nil {
		return
	}
	rightsInFlight.Add(-int64(len(c.rights)))
	for _, d := range c.rights {
		d.put()
	}
	c.rights = nil
}

// copyRights is the same descriptors once more, for MSG_PEEK.
func copyRights(rights []*description) []*description {
	for _, d := range rights {
		d.refs.Add(1)
	}
	rightsInFlight.Add(int64(len(rights)))
	return append([]*description(nil), rights...)
}

// loadControl reads the control messages of sendmsg; nil when there are none. Only Unix sockets have any.
func loadControl(s *socket, at ref, length uint64) (*control, syscall.Errno) {
	switch {
	case length == 0:
		return nil, 0
	case length > maxControl:
		return nil, syscall.ENOBUFS
	case s.domain != syscall.AF_UNIX:
		return nil, syscall.EINVAL // to ignore one could send from a wrong address
	}
	b := make([]byte, length)
	if e := at.copyIn(b); e != 0 {
		return nil, e
	}
	c := &control{cred: rootCred}
	if e := c.parse(b); e != 0 {
		c.release()
		return nil, e
	}
	return c, 0
}

func (c *control) parse(b []byte) syscall.Errno {
	for len(b) >= cmsgHeader {
		length := le.Uint64(b)
		if length < cmsgHeader || length > uint64(len(b)) {
			return syscall.EINVAL
		}
		level, typ, data := int32(le.Uint32(b[8:])), le.Uint32(b[12:]), b[cmsgHeader:length]
		b = b[min(len(b), int(length+cmsgAlignment-1)&^(cmsgAlignment-1)):]
		e := syscall.Errno(0)
		switch {
		case level != syscall.SOL_SOCKET:
		case typ == scmRights:
			e = c.addRights(data)
		case typ == scmCreds:
			e = c.setCred(data)
		default:
			e = syscall.EINVAL
		}
		if e != 0 {
			return e
		}
	}
	return 0
}

// addRights takes a reference to each descriptor. The console can be passed on; what else the trap leaf
// serves cannot.
func (c *control) addRights(data []byte) syscall.Errno {
	if len(c.rights)+len(data)/4 > maxRights {
		return syscall.EINVAL
	}
	for ; len(data) >= 4; data = data[4:] {
		d, e := lookup(uintptr(le.Uint32(data)))
		if e != 0 {
			return e
		}
		if !isDoorFile(d) && d != trapFiles[KindConsole] {
			d.put()
			return syscall.EINVAL
		}
		c.rights = append(c.rights, d)
		if rightsInFlight.Add(1) > int64(FDLimit) {
			return syscall.ETOOMANYREFS
		}
	}
	return 0
}

// setCred checks what a sender says of itself: root may say much, but not that it is no process.
func (c *control) setCred(data []byte) syscall.Errno {
	if len(data) != credSize {
		return syscall.EINVAL
	}
	copy(c.cred[:], data)
	switch {
	case le.Uint32(data) != thePID:
		return syscall.ESRCH
	case le.Uint32(data[4:]) == ^uint32(0) || le.Uint32(data[8:]) == ^uint32(0):
		return syscall.EINVAL
	}
	return 0
}

// storeControl writes what came with a message as far as there is room for it, and gives descriptors to
// the files. It returns the bytes used, and whether something did not fit.
func storeControl(c *control, at ref, room uint64, cloexec bool) (used uint64, cut bool, e syscall.Errno) {
	if c == nil {
		return 0, false, 0
	}
	cut = c.cut
	if c.showCred {
		n, short, e := putControl(at, room, scmCreds, c.cred[:])
		if e != 0 {
			return used, cut, e
		}
		used, cut = n, cut || short
	}
	if len(c.rights) == 0 {
		return used, cut, 0
	}
	at, room = at.add(uintptr(used)), room-used
	fits := 0
	if room > cmsgHeader {
		fits = int(min(uint64(len(c.rights)), (room-cmsgHeader)/4))
	}
	if fits == 0 {
		return used, true, 0
	}
	if !at.valid(uintptr(cmsgHeader+4*fits), true) {
		return used, cut, syscall.EFAULT
	}
	data := make([]byte, 0, 4*maxRights)
	for _, d := range c.rights[:fits] {
		fd, e := installRight(d, cloexec)
		if e != 0 {
			cut = true
			break
		}
		data = le.AppendUint32(data, uint32(fd))
	}
	cut = cut || fits < len(c.rights)
	if len(data) == 0 {
		return used, cut, 0
	}
	n, _, e := putControl(at, room, scmRights, data)
	return used + n, cut, e
}

func installRight(d *description, cloexec bool) (int, syscall.Errno) {
	if isDoorFile(d) {
		return install(d, cloexec, 0)
	}
	return reserve(KindConsole, 0, cloexec, 0)
}

// putControl writes one control message, cut to the room there is, and returns the bytes it takes.
func putControl(at ref, room uint64, typ uint32, data []byte) (used uint64, cut bool, e syscall.Errno) {
	if room < cmsgHeader {
		return 0, true, 0
	}
	b := make([]byte, cmsgHeader, cmsgHeader+len(data))
	b = append(b, data...)
	if uint64(len(b)) > room {
		b, cut = b[:room], true
	}
	le.PutUint64(b, uint64(len(b)))
	le.PutUint32(b[8:], syscall.SOL_SOCKET)
	le.PutUint32(b[12:], typ)
	used = min(room, uint64(len(b)+cmsgAlignment-1)&^(cmsgAlignment-1))
	return used, cut, at.copyOut(b)
}
