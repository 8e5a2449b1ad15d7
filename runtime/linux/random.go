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

// The random generator is AES-256 in counter mode with fast key erasure: each request takes a stream from
// the key, and the first bytes of the stream become the next key, so that what was handed out cannot be
// found from the generator's later state.

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
	since  int // bytes handed out since Reseed was asked
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

func mixLocked(b []byte) {
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
	at := c.ptr(0)
	b, e := at.out(min(c.count(1), 32<<20-1))
	if e != 0 {
		return 0, e
	}
	if e := readRandom(b); e != 0 {
		if flags&unix.GRND_NONBLOCK == 0 {
			e = syscall.EIO // waiting would be for ever: the seed comes before the program or not at all
		}
		return 0, e
	}
	at.done(b)
	return len(b), 0
}
