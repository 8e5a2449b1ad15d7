// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import "github.com/hvgo/hvgo/runtime/ring0"

// Descriptors are numbers; what is behind one is a door file, whose other half
// is in runtime/linux, the console, or an object of this package (event.go,
// epoll.go), which several descriptors may share. All of it is guarded by the
// kernel lock.

// fdKind is the kind of each descriptor (ring0.FD…). The system call entry
// reads it to find out who serves a call.
var fdKind [ring0.MaxFD]uint8

// file is what both leaves need to know of a descriptor.
type file struct {
	flags  uint32 // O_CLOEXEC, NoPoll, PathOnly; of the console O_NONBLOCK too
	object int32  // of an eventfd or epoll
	target        // of a door file
}

var files [ring0.MaxFD]file

// target is what a registration with an epoll watches.
type target struct {
	ready uint32 // EPOLL… now
	watch int32  // the first registration
}

// object is an eventfd or an epoll.
type object struct {
	refs  int32  // descriptors, and calls that wait
	next  int32  // the next that is free
	flags uint32 // O_NONBLOCK
	kind  uint8
	target

	sema  bool   // eventfd: EFD_SEMAPHORE
	count uint64 // eventfd: the counter

	// Of an epoll only.
	firstHot, lastHot int32  // registrations that are hot
	waiting           int32  // threads
	edges             uint32 // what tellParents has to tell
	nextQueued        int32
	queued            bool // in the queue of tellParents
	level             int32
}

// Objects are numbered from 1; 0 is none.
const maxObjects = ring0.MaxFD

var (
	objects     [maxObjects]object
	freeObject  int32  // the first that was used and is free
	usedObjects int32  // how many were ever used
	lowestFD    uint64 // no descriptor below it is free
	endFD       uint64 // no descriptor from it on was ever open, but for the runtime's own
	fdLimit     uint64 = ring0.ProgramFDs
)

//go:nosplit
func fileAt(fd int32) *file { return &files[uint32(fd)%ring0.MaxFD] }

//go:nosplit
func objectAt(i int32) *object { return &objects[uint32(i-1)%maxObjects] }

//go:nosplit
func initFDs() {
	fdKind[0], fdKind[1], fdKind[2] = ring0.FDConsole, ring0.FDConsole, ring0.FDConsole
	endFD = 3
}

// Kind is a descriptor's kind, ring0.FDFree for one that is out of range.
//
//go:nosplit
func Kind(fd uint64) uint8 {
	if fd >= ring0.MaxFD {
		return ring0.FDFree
	}
	return fdKind[fd%ring0.MaxFD]
}

// NextFD is the lowest descriptor of the program's from fd on that is open, or
// ring0.ProgramFDs.
//
//go:nosplit
func NextFD(fd uint64) uint64 {
	for ; fd < endFD; fd++ {
		if fdKind[fd%ring0.MaxFD] != ring0.FDFree {
			return fd
		}
	}
	return ring0.ProgramFDs
}

// LimitFDs sets how many descriptors there can be (RLIMIT_NOFILE). Those that
// are open stay so.
//
//go:nosplit
func LimitFDs(n uint64) { fdLimit = min(n, ring0.ProgramFDs) }

// AllocFD takes the lowest free descriptor from low on, or gives -EMFILE. From
// ring0.ProgramFDs on it is the runtime's own, which no limit of the program's concerns.
//
//go:nosplit
func AllocFD(kind uint8, flags uint32, low uint64) int {
	limit := fdLimit
	if low >= ring0.ProgramFDs {
		limit = ring0.MaxFD
	}
	fd := max(low, lowestFD)
	for fd < limit && fdKind[fd%ring0.MaxFD] != ring0.FDFree {
		fd++
	}
	if low <= lowestFD {
		lowestFD = min(fd, ring0.MaxFD)
	}
	if fd >= limit {
		return eMFile
	}
	if fd < ring0.ProgramFDs {
		endFD = max(endFD, fd+1)
	}
	fdKind[fd%ring0.MaxFD] = kind
	*fileAt(int32(fd)) = file{flags: flags}
	return int(fd)
}

// FreeFD closes a descriptor on this side. Linux keeps what is registered with
// an epoll as long as a duplicate is open; here it ends with its descriptor.
//
//go:nosplit
func FreeFD(fd int32) {
	kind := Kind(uint64(uint32(fd)))
	if kind == ring0.FDFree {
		return
	}
	f := fileAt(fd)
	unregister(f.targetOf(kind), fd)
	tellParents()
	o := f.object
	*f = file{}
	fdKind[uint32(fd)%ring0.MaxFD] = ring0.FDFree
	lowestFD = min(lowestFD, uint64(fd))
	if o != 0 {
		drop(o)
	}
}

// targetOf is what an epoll watches of a descriptor.
//
//go:nosplit
func (f *file) targetOf(kind uint8) *target {
	if kind == ring0.FDEvent || kind == ring0.FDEpoll {
		return &objectAt(f.object).target
	}
	return &f.target
}

// newObject makes an object with a descriptor from low on, or gives a negative errno.
//
//go:nosplit
func newObject(kind uint8, flags uint32, low uint64) (fd int, o *object) {
	i := freeObject
	if i == 0 && usedObjects == maxObjects {
		return eMFile, nil
	}
	if fd = AllocFD(kind, flags&cloexec, low); fd < 0 {
		return fd, nil
	}
	if i != 0 {
		freeObject = objectAt(i).next
	} else {
		usedObjects++
		i = usedObjects
	}
	o = objectAt(i)
	*o = object{refs: 1, kind: kind, flags: flags & nonblock}
	fileAt(int32(fd)).object = i
	return fd, o
}

// drop gives back one reference; the last one frees the object.
//
//go:nosplit
func drop(i int32) {
	o := objectAt(i)
	if o.refs--; o.refs > 0 {
		return
	}
	if o.kind == ring0.FDEpoll {
		forgetEpoll(i)
	}
	*o = object{next: freeObject}
	freeObject = i
}

// DupFD makes another descriptor, the lowest from low on, of the console or an
// object.
//
//go:nosplit
func DupFD(fd uint64, flags uint32, low uint64) int {
	kind := Kind(fd)
	if kind == ring0.FDFree {
		return eBadF
	}
	if kind == ring0.FDDoor {
		return eInval
	}
	o := fileAt(int32(fd)).object
	dup := AllocFD(kind, flags&cloexec, low)
	if dup >= 0 && o != 0 {
		fileAt(int32(dup)).object = o
		objectAt(o).refs++
	}
	return dup
}

// Flags and SetFlags are a descriptor's O_CLOEXEC, NoPoll and PathOnly.
//
//go:nosplit
func Flags(fd uint64) uint32 { return fileAt(int32(fd)).flags }

//go:nosplit
func SetFlags(fd uint64, flags uint32) { fileAt(int32(fd)).flags = flags }

// Nonblock tells whether O_NONBLOCK is set, for all descriptors of the file;
// SetNonblock changes it.
//
//go:nosplit
func Nonblock(fd uint64) bool { return *statusOf(fd)&nonblock != 0 }

//go:nosplit
func SetNonblock(fd uint64, on bool) {
	p := statusOf(fd)
	if *p &^= nonblock; on {
		*p |= nonblock
	}
}

//go:nosplit
func statusOf(fd uint64) *uint32 {
	f := fileAt(int32(fd))
	if f.object != 0 {
		return &objectAt(f.object).flags
	}
	return &f.flags
}

const (
	nonblock = 0x800   // O_NONBLOCK
	cloexec  = 0x80000 // O_CLOEXEC
)
