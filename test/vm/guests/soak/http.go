// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hvgo/hvgo/test/vm/pattern"
)

// server is for clients outside of the machine.
//
//	GET /pattern?key=N&size=N   that many bytes of package pattern, from that offset
//	POST /sum                   SHA-256 of the body
type server struct {
	http   *http.Server
	served atomic.Int64 // requests, also those whose client went away
	ended  chan error
}

func serve(address string) (*server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	s := &server{http: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}, ended: make(chan error, 1)}
	mux.HandleFunc("GET /pattern", s.pattern)
	mux.HandleFunc("POST /sum", s.sum)
	go func() { s.ended <- s.http.Serve(l) }()
	return s, nil
}

func (s *server) close() {
	if err := s.http.Close(); err != nil {
		fail("http", err)
	}
	if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
		fail("http", err)
	}
}

func (s *server) pattern(w http.ResponseWriter, q *http.Request) {
	defer s.served.Add(1)
	const most = 16 << 20
	key, err := strconv.ParseInt(q.FormValue("key"), 10, 64)
	size, err2 := strconv.Atoi(q.FormValue("size"))
	if err != nil || err2 != nil || size < 0 || size > most || size%8 != 0 {
		http.Error(w, "give key=N and size=N", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(size))
	for b := make([]byte, 32<<10); size > 0; {
		n := min(len(b), size)
		pattern.Fill(b[:n], key)
		spoil("http", b[:n])
		if _, err := w.Write(b[:n]); err != nil {
			return // the client went away
		}
		key, size = key+int64(n), size-n
	}
}

func (s *server) sum(w http.ResponseWriter, q *http.Request) {
	defer s.served.Add(1)
	h := sha256.New()
	if _, err := io.Copy(h, q.Body); err != nil {
		return
	}
	fmt.Fprintf(w, "%x\n", h.Sum(nil))
}

// round waits until some more requests were served: the rounds are the client's.
func (s *server) round(ctx context.Context, _ *random) error {
	const requests = 5
	for end := s.served.Load() + requests; s.served.Load() < end && ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}
