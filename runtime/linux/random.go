// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// The random generator is AES-256 in counter mode with fast key erasure: the first bytes of each stream
// become the next key. Small requests take from a pool that a stream filled, and erase what they take. So
// what was handed out cannot be found from the generator's later state. The pool saves a small request the
// new key, in time and in objects on the program's own heap.

// MinSeed is how many bytes of entropy a first seed needs.
const MinSeed = 32

// reseedEvery is how many bytes are handed out between two visits to the hardware.
const reseedEvery = 1 << 20

// Reseed fills b with fresh entropy of the hardware (RDSEED, RDRAND), or returns false. boot sets it.
var Reseed = func(b []byte) bool { return false }

var random struct {
	mu     sync.Mutex
	key    [32]byte
	seeded bool
	since  int // bytes taken from streams since Reseed was asked
	pool   [1 << 10]byte
	left   int // bytes at the pool's end that nobody has had
}

// SeedRandom mixes seed into the generator. Only a seed of MinSeed bytes or more lets it begin to work:
// before that getrandom and /dev/urandom fail. The caller answers for the seed's entropy.
func SeedRandom(seed []byte) {
	random.mu.Lock()
	defer random.mu.Unlock()
	mixLocked(seed)
	random.seeded = random.seeded || len(seed) >= MinSeed
}

// mixRandom mixes in what nobody answers for.
func mixRandom(b []byte) {
	random.mu.Lock()
	defer random.mu.Unlock()
	mixLocked(b)
}

// mixLocked also makes an end of the pool: it does not have in it what is new.
func mixLocked(b []byte) {
	clear(random.pool[:])
	random.left = 0
	h := sha256.New()
	h.Write(random.key[:])
	h.Write(b)
	h.Sum(random.key[:0])
}

// readRandom fills b; EAGAIN before the seed.
func readRandom(b []byte) syscall.Errno {
	random.mu.Lock()
	defer random.mu.Unlock()
	if !random.seeded {
		return syscall.EAGAIN
	}
	if len(b) > len(random.pool) {
		return streamLocked(b)
	}
	return poolLocked(b)
}

// smallRandom is how many bytes are small, such as a key: they go by way of the stack.
const smallRandom = 64

// readSmallRandom is readRandom for an array whose address does not leave the stack.
func readSmallRandom(b *[smallRandom]byte, n int) syscall.Errno {
	random.mu.Lock()
	defer random.mu.Unlock()
	if !random.seeded {
		return syscall.EAGAIN
	}
	return poolLocked(b[:n])
}

// poolLocked fills b from the pool.
func poolLocked(b []byte) syscall.Errno {
	for len(b) > 0 {
		if random.left == 0 {
			if e := streamLocked(random.pool[:]); e != 0 {
				return e
			}
			random.left = len(random.pool)
		}
		rest := random.pool[len(random.pool)-random.left:]
		n := copy(b, rest)
		clear(rest[:n])
		random.left -= n
		b = b[n:]
	}
	return 0
}

// streamLocked fills b from the key, which it replaces.
func streamLocked(b []byte) syscall.Errno {
	if random.since += len(b); random.since > reseedEvery {
		var fresh [32]byte
		if random.since = 0; Reseed(fresh[:]) {
			mixLocked(fresh[:])
		}
	}
	block, err := aes.NewCipher(random.key[:])
	if err != nil {
		return syscall.EIO
	}
	var zero [aes.BlockSize]byte
	s := cipher.NewCTR(block, zero[:])
	clear(random.key[:])
	s.XORKeyStream(random.key[:], random.key[:])
	clear(b)
	s.XORKeyStream(b, b)
	return 0
}

func sysGetrandom(c *call) (int, syscall.Errno) {
	const known = unix.GRND_NONBLOCK | unix.GRND_RANDOM | unix.GRND_INSECURE
	flags := c.arg[2]
	if flags&^known != 0 || flags&(unix.GRND_RANDOM|unix.GRND_INSECURE) == unix.GRND_RANDOM|unix.GRND_INSECURE {
		return 0, syscall.EINVAL
	}
	at, n := c.ptr(0), min(c.count(1), 32<<20-1)
	if n < 0 {
		return 0, syscall.EFAULT
	}
	if n <= smallRandom {
		var b [smallRandom]byte
		if e := readSmallRandom(&b, n); e != 0 {
			return 0, noRandom(e, flags)
		}
		return n, at.copyOut(b[:n])
	}
	b, e := at.out(n)
	if e != 0 {
		return 0, e
	}
	if e := readRandom(b); e != 0 {
		return 0, noRandom(e, flags)
	}
	at.done(b)
	return len(b), 0
}

// noRandom is the errno without a seed. Waiting would be for ever: the seed comes before the program or
// not at all.
func noRandom(e syscall.Errno, flags uintptr) syscall.Errno {
	if flags&unix.GRND_NONBLOCK == 0 {
		return syscall.EIO
	}
	return e
}
