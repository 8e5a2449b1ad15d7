// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

// Task is what a thread has of its own besides its registers and signals: a
// name and, as on Linux, credentials (credentials(7)). Nothing is refused because of
// them but to change them.
type Task struct {
	Name        [16]byte // ended by a zero
	UID, GID    IDs
	Groups      [MaxGroups]uint32
	NGroups     uint32
	Effective   uint64 // capabilities, a bit each (capabilities(7))
	Permitted   uint64
	Inheritable uint64
	KeepCaps    bool
	NoNewPrivs  bool
	Dumpable    uint32
	DeathSignal uint32
}

// IDs are the numbers of a user or a group.
type IDs struct{ Real, Effective, Saved, FS uint32 }

// MaxGroups is how many supplementary groups a thread may have; Linux allows
// 65536.
const MaxGroups = 32

// Capabilities of Linux 6: 0 to 40.
const (
	MaxCap  = 40
	AllCaps = 1<<(MaxCap+1) - 1

	capSetGID  = 6
	capSetUID  = 7
	capSetPCap = 8
)

// noID is the argument that leaves a number as it is.
const noID = ^uint32(0)

// First makes it what the first thread has: all rights.
//
//go:nosplit
func (t *Task) First() {
	*t = Task{Effective: AllCaps, Permitted: AllCaps, Dumpable: 1}
	t.Name = [16]byte{'i', 'n', 'i', 't'}
}

// inheritTask gives a new thread what the one has that makes it.
//
//go:nosplit
func (t *Thread) inheritTask() {
	if parent := Current(); parent != nil {
		t.Task = parent.Task
		return
	}
	t.Task.First()
}

//go:nosplit
func (t *Task) can(capability uint) bool { return t.Effective>>capability&1 != 0 }

// SetUID is setuid (2).
//
//go:nosplit
func (t *Task) SetUID(u uint32) int {
	to, errno := t.UID.set(u, t.can(capSetUID))
	if errno == 0 {
		t.become(to)
	}
	return errno
}

// SetGID is setgid (2).
//
//go:nosplit
func (t *Task) SetGID(g uint32) int {
	to, errno := t.GID.set(g, t.can(capSetGID))
	if errno == 0 {
		t.GID = to
	}
	return errno
}

//go:nosplit
func (i IDs) set(id uint32, may bool) (IDs, int) {
	switch {
	case id == noID:
		return i, eInval
	case may:
		return IDs{id, id, id, id}, 0
	case id != i.Real && id != i.Saved:
		return i, ePerm
	}
	i.Effective, i.FS = id, id
	return i, 0
}

// SetREUID is setreuid (2).
//
//go:nosplit
func (t *Task) SetREUID(r, e uint32) int {
	to, errno := t.UID.setRE(r, e, t.can(capSetUID))
	if errno == 0 {
		t.become(to)
	}
	return errno
}

// SetREGID is setregid (2).
//
//go:nosplit
func (t *Task) SetREGID(r, e uint32) int {
	to, errno := t.GID.setRE(r, e, t.can(capSetGID))
	if errno == 0 {
		t.GID = to
	}
	return errno
}

//go:nosplit
func (i IDs) setRE(r, e uint32, may bool) (IDs, int) {
	to := i
	if r != noID {
		if to.Real = r; !may && r != i.Real && r != i.Effective {
			return i, ePerm
		}
	}
	if e != noID {
		if to.Effective = e; !may && e != i.Real && e != i.Effective && e != i.Saved {
			return i, ePerm
		}
	}
	if r != noID || e != noID && e != i.Real {
		to.Saved = to.Effective
	}
	to.FS = to.Effective
	return to, 0
}

// SetRESUID is setresuid (2).
//
//go:nosplit
func (t *Task) SetRESUID(r, e, s uint32) int {
	to, errno := t.UID.setRES(r, e, s, t.can(capSetUID))
	if errno == 0 {
		t.become(to)
	}
	return errno
}

// SetRESGID is setresgid (2).
//
//go:nosplit
func (t *Task) SetRESGID(r, e, s uint32) int {
	to, errno := t.GID.setRES(r, e, s, t.can(capSetGID))
	if errno == 0 {
		t.GID = to
	}
	return errno
}

//go:nosplit
func (i IDs) setRES(r, e, s uint32, may bool) (IDs, int) {
	if !may && !(i.has(r) && i.has(e) && i.has(s)) {
		return i, ePerm
	}
	to := i
	if r != noID {
		to.Real = r
	}
	if e != noID {
		to.Effective = e
	}
	if s != noID {
		to.Saved = s
	}
	if to != i || e != noID { // else not even the number for files changes
		to.FS = to.Effective
	}
	return to, 0
}

// has says whether id is one of the three, or none.
//
//go:nosplit
func (i IDs) has(id uint32) bool {
	return id == noID || id == i.Real || id == i.Effective || id == i.Saved
}

// SetFSUID is setfsuid (2): it gives the number there was.
//
//go:nosplit
func (t *Task) SetFSUID(u uint32) int { return t.UID.setFS(u, t.can(capSetUID)) }

// SetFSGID is setfsgid (2).
//
//go:nosplit
func (t *Task) SetFSGID(g uint32) int { return t.GID.setFS(g, t.can(capSetGID)) }

//go:nosplit
func (i *IDs) setFS(id uint32, may bool) int {
	was := i.FS
	if id != noID && (may || id == was || i.has(id)) {
		i.FS = id
	}
	return int(was)
}

// MaySetGroups says whether setgroups is allowed.
//
//go:nosplit
func (t *Task) MaySetGroups() bool { return t.can(capSetGID) }

// become takes other user IDs, and gives up or gets the capabilities that go
// with user 0 (capabilities(7), "Effect of user ID changes on capabilities").
//
//go:nosplit
func (t *Task) become(to IDs) {
	was := t.UID
	t.UID = to
	if was.root() && !to.root() && !t.KeepCaps {
		t.Permitted, t.Effective = 0, 0
	}
	if was.Effective == 0 && to.Effective != 0 {
		t.Effective = 0
	}
	if was.Effective != 0 && to.Effective == 0 {
		t.Effective = t.Permitted
	}
}

//go:nosplit
func (i IDs) root() bool { return i.Real == 0 || i.Effective == 0 || i.Saved == 0 }

// SetCaps is capset (2).
//
//go:nosplit
func (t *Task) SetCaps(effective, permitted, inheritable uint64) int {
	effective, permitted, inheritable = effective&AllCaps, permitted&AllCaps, inheritable&AllCaps
	if !t.can(capSetPCap) && inheritable&^(t.Inheritable|t.Permitted) != 0 {
		return ePerm
	}
	if permitted&^t.Permitted != 0 || effective&^permitted != 0 {
		return ePerm
	}
	t.Effective, t.Permitted, t.Inheritable = effective, permitted, inheritable
	return 0
}

// SetName takes a name of up to 15 bytes.
//
//go:nosplit
func (t *Task) SetName(name *[16]byte) {
	t.Name = [16]byte{}
	for i := 0; i < 15 && name[i] != 0; i++ {
		t.Name[i] = name[i]
	}
}
