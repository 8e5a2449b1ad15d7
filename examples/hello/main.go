// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command hello is a plain HTTP service on port 8080. It knows nothing of hvgo:
// go run starts it on Linux, hvgo build makes it a virtual machine.
//
//	/       a greeting, with host name, time, remote address and Go version
//	/disk   SHA-256 of the first MiB of the second disk
//	/echo   the body that was posted
//	/panic  a nil dereference in the handler, which net/http recovers
//	/crash  a nil dereference in a goroutine of its own, which ends the program
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"runtime"
	"time"
)

// disk is the second disk; a program on Linux needs to be root to read it.
var disk = "/dev/sdb"

func main() {
	log.Print("hello: listening on port 8080")
	log.Fatal(http.ListenAndServe(":8080", routes()))
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", greet)
	mux.HandleFunc("GET /disk", sumDisk)
	mux.HandleFunc("POST /echo", echo)
	mux.HandleFunc("GET /panic", nilPanic)
	mux.HandleFunc("GET /crash", crash)
	return mux
}

func greet(w http.ResponseWriter, r *http.Request) {
	host, err := os.Hostname()
	if err != nil {
		host = err.Error()
	}
	fmt.Fprintf(w, "Hello from %s!\nTime:   %s\nYou:    %s\nBuilt with %s\n",
		host, time.Now().UTC().Format(time.RFC3339Nano), r.RemoteAddr, runtime.Version())
}

func sumDisk(w http.ResponseWriter, _ *http.Request) {
	f, err := os.Open(disk)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyN(h, f, 1<<20); err != nil {
		http.Error(w, fmt.Sprintf("read %s: %v", disk, err), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%x\n", h.Sum(nil))
}

// echo answers while it reads, so that a body of any size needs no memory.
func echo(w http.ResponseWriter, r *http.Request) {
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if _, err := io.Copy(w, r.Body); err != nil {
		log.Printf("echo to %s: %v", r.RemoteAddr, err)
		panic(http.ErrAbortHandler) // the client must not take this for the end
	}
}

func nilPanic(http.ResponseWriter, *http.Request) {
	var p *int
	*p = 1
}

func crash(http.ResponseWriter, *http.Request) {
	go func() {
		var p *int
		*p = 1
	}()
	select {} // the program ends before the answer
}
