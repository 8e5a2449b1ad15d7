// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hvgo/hvgo/test/vm/pattern"
)

// client fetches from the guest's server and posts to it, and breaks some of it off.
type client struct {
	url    string
	report *report
}

// run makes requests until the context ends, but while the guest rests.
func (c *client) run(ctx context.Context) {
	transport := &http.Transport{MaxIdleConnsPerHost: 4}
	defer transport.CloseIdleConnections()
	h := &http.Client{Transport: transport, Timeout: time.Minute}
	for ctx.Err() == nil {
		if c.report.resting.Load() {
			transport.CloseIdleConnections()
			wait(ctx, 50*time.Millisecond)
			continue
		}
		start := time.Now()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := c.one(ctx, h); err != nil && ctx.Err() == nil {
					c.report.fail(fmt.Sprint("http client: ", err))
				}
			})
		}
		wg.Wait()
		if rand.IntN(8) == 0 {
			transport.CloseIdleConnections()
		}
		const rest, least, most = 3, 100 * time.Millisecond, 2 * time.Second
		wait(ctx, min(max(rest*time.Since(start), least), most))
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// one makes a request.
func (c *client) one(ctx context.Context, h *http.Client) error {
	c.report.requests.Add(1)
	size, key := (8+rand.IntN(128<<10>>rand.IntN(12)))&^7, int64(rand.Uint64()>>2)
	broken := rand.IntN(5) == 0
	if broken {
		c.report.cut.Add(1)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(20_000))*time.Microsecond)
		defer cancel()
		size = 512 << 10
	}
	var err error
	if rand.IntN(2) == 0 {
		err = c.get(ctx, h, size, key)
	} else {
		err = c.post(ctx, h, size, key)
	}
	if broken && ctx.Err() != nil {
		return nil
	}
	return err
}

func (c *client) get(ctx context.Context, h *http.Client, size int, key int64) error {
	b, err := c.do(ctx, h, http.MethodGet, fmt.Sprintf("/pattern?key=%d&size=%d", key, size), nil)
	if err != nil {
		return err
	}
	if at := pattern.Differs(b, key); len(b) != size || at >= 0 {
		return fmt.Errorf("of %d bytes came %d, and differ at %d", size, len(b), at)
	}
	return nil
}

func (c *client) post(ctx context.Context, h *http.Client, size int, key int64) error {
	data := make([]byte, size)
	pattern.Fill(data, key)
	b, err := c.do(ctx, h, http.MethodPost, "/sum", bytes.NewReader(data))
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(data)); strings.TrimSpace(string(b)) != want {
		return fmt.Errorf("%d bytes have the sum %s, and %q came", size, want, b)
	}
	return nil
}

func (c *client) do(ctx context.Context, h *http.Client, method, path string, body io.Reader) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := h.Do(q)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.100s", resp.Status, b)
	}
	return b, err
}
