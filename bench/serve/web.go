// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hvgo/hvgo/bench"
)

// routes are what is asked from outside.
func routes(s *start, disk string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", body(bench.SmallBody))
	mux.HandleFunc("GET "+bench.LargePath, body(bench.LargeBody))
	mux.HandleFunc("GET "+bench.StartPath, func(w http.ResponseWriter, _ *http.Request) { answer(w, s.told()) })
	mux.HandleFunc("GET "+bench.MemoryPath, func(w http.ResponseWriter, _ *http.Request) {
		m, err := memory()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, m)
	})
	mux.HandleFunc("POST "+bench.JobPath, func(w http.ResponseWriter, r *http.Request) {
		var j bench.Job
		if err := json.NewDecoder(io.LimitReader(r.Body, 4096)).Decode(&j); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, do(r.Context(), j, disk))
	})
	return mux
}

// body answers with n bytes.
func body(n int) http.HandlerFunc {
	b := []byte(strings.Repeat("x", n))
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(n))
		_, _ = w.Write(b) // the client has gone
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}

// listenTLS opens the port for TLS 1.3 with a certificate of its own.
func listenTLS(address string) (net.Listener, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0), DNSNames: []string{"bench"}}
	c, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return tls.Listen("tcp", address, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{c}, PrivateKey: key}}, MinVersion: tls.VersionTLS13,
		SessionTicketsDisabled: true, // each handshake is a whole one
	})
}

// memory reads /proc/meminfo.
func memory() (m bench.Memory, err error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return m, err
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		for name, to := range map[string]*uint64{"MemTotal:": &m.Total, "MemAvailable:": &m.Available} {
			if w := strings.Fields(sc.Text()); len(w) == 3 && w[0] == name {
				kib, err := strconv.ParseUint(w[1], 10, 50)
				if err != nil {
					return m, err
				}
				*to = kib << 10
			}
		}
	}
	return m, nil
}
