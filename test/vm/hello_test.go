// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
)

// dataDisk is a disk of random bytes, and the SHA-256 of its first MiB.
func dataDisk() (*memoryDisk, string) {
	d := &memoryDisk{b: make([]byte, 4*mib)}
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(d.b)
	sum := sha256.Sum256(d.b[:mib])
	return d, hex.EncodeToString(sum[:]) + "\n"
}

// helloWorks asks for what needs disk and network.
func helloWorks(v *vm, sum string) {
	v.t.Helper()
	url, client := v.publish(helloPort), newClient(v.t)
	if text, err := get(client, url+"/"); err != nil || !strings.HasPrefix(text, "Hello from ") {
		v.t.Errorf("%q, %v", text, err)
	}
	if text, err := get(client, url+"/disk"); err != nil || text != sum {
		v.t.Errorf("/disk: %q, %v; want %q", text, err, sum)
	}
}

// TestHello goes through the routes of one guest, and prints what it cost.
func TestHello(t *testing.T) {
	disk, sum := dataDisk()
	v := boot(t, options{disks: []guest.Block{disk}, Config: guest.Config{Machine: machine.Config{Memory: 64 * mib}}})
	url, client := v.publish(helloPort), newClient(t)
	text, err := get(client, url+"/")
	if err != nil {
		t.Fatal(err)
	}
	printFigures(v, "first answer")
	for _, want := range []string{"Hello from tested!\n", "Time:   20", "You:    192.168.127.1:", "Built with go1."} {
		if !strings.Contains(text, want) {
			t.Errorf("/ has no %q: %q", want, text)
		}
	}
	t.Run("disk", func(t *testing.T) {
		if text, err := get(client, url+"/disk"); err != nil || text != sum {
			t.Errorf("%q, %v; want %q", text, err, sum)
		}
	})
	t.Run("echo", func(t *testing.T) { echoBodies(t, client, url, 12*mib) })
	t.Run("panic", func(t *testing.T) {
		for range 3 {
			if _, err := get(client, url+"/panic"); !errors.Is(err, io.EOF) {
				t.Errorf("%v", err)
			}
		}
		v.waitFor("http: panic serving")
		if _, err := get(client, url+"/"); err != nil {
			t.Error("afterwards:", err)
		}
	})
	t.Run("not found", func(t *testing.T) {
		if _, err := get(client, url+"/nothing"); err == nil || !strings.Contains(err.Error(), "404") {
			t.Error(err)
		}
	})
	t.Run("many requests", func(t *testing.T) { manyRequests(t, client, url) })
	printFigures(v, "end")
	v.shutDown()
}

// printFigures prints the benchmark's line, without -v too.
func printFigures(v *vm, when string) {
	text := fmt.Sprintf("hello at %s: %.1f s after the guest's start, %v", when, time.Since(v.start).Seconds(), v.Figures())
	if fi, err := os.Stat(os.Getenv(helloImage)); err == nil {
		text += fmt.Sprintf(", image of %.1f MiB", float64(fi.Size())/mib)
	}
	fmt.Println(text)
}

// echoBodies posts bodies of up to most bytes, and compares what comes back.
func echoBodies(t *testing.T, client *http.Client, url string, most int) {
	body := make([]byte, most)
	rng := rand.NewChaCha8([32]byte{2})
	rng.Read(body)
	for _, n := range []int{0, 1, 1000, 70_000, len(body)} {
		resp, err := client.Post(url+"/echo", "application/octet-stream", bytes.NewReader(body[:n]))
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, body[:n]) {
			t.Fatalf("%d bytes: %d came back, %v", n, len(got), err)
		}
	}
}

func manyRequests(t *testing.T, client *http.Client, url string) {
	const workers = 8
	total := int64(3000)
	if os.Getenv("HVGO_TEST_LONG") != "" {
		total = 100_000
	}
	var next, fresh atomic.Int64
	start := time.Now()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > total || t.Failed() {
					return
				}
				if n%100 == 0 { // a new connection now and then
					client.CloseIdleConnections()
					fresh.Add(1)
				}
				if text, err := get(client, url+"/"); err != nil || !strings.HasPrefix(text, "Hello from tested!") {
					t.Errorf("request %d: %q, %v", n, text, err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%.0f requests a second", float64(total)/time.Since(start).Seconds())
}

// TestHelloCrash ends the program by a fault that nothing recovers.
func TestHelloCrash(t *testing.T) {
	v := boot(t, options{})
	url := v.publish(helloPort)
	if _, err := get(newClient(t), url+"/"); err != nil {
		t.Fatal(err)
	}
	// No answer will come: the machine is gone, like one whose plug was pulled.
	client := newClient(t)
	client.Timeout = 5 * patience
	answer := make(chan error, 1)
	go func() {
		_, err := get(client, url+"/crash")
		answer <- err
	}()
	e := v.wait(patience)
	if err := v.net.Close(); err != nil {
		t.Error(err)
	}
	if err := <-answer; err == nil {
		t.Error("/crash answers")
	}
	if e.Kind != vmm.Crash || e.Params[0] != 0x4F475648 || e.Params[1] != 2 {
		t.Errorf("ended with %v", e)
	}
	for _, want := range []string{
		"panic: runtime error: invalid memory address or nil pointer dereference",
		"[signal SIGSEGV: segmentation violation code=", "main.crash.func1()", "created by main.crash in goroutine",
	} {
		v.waitFor(want)
	}
}

// TestNoDisk boots a guest that is offered no disk, TestNoNetwork one without card.
func TestNoDisk(t *testing.T) {
	v := boot(t, options{Config: guest.Config{NoDisk: true}})
	url := v.publish(helloPort)
	if text, err := get(newClient(t), url+"/"); err != nil || !strings.HasPrefix(text, "Hello") {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := get(newClient(t), url+"/disk"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("/disk without disk: %v", err)
	}
	v.waitFor("no disk found")
	v.shutDown()
}

func TestNoNetwork(t *testing.T) {
	v := boot(t, options{noNetwork: true})
	v.waitFor("no network card found")
	v.waitFor(helloListens)
	v.shutDown()
}
