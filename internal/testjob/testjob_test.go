// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package testjob

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// elsewhere is the header of a file that goes to another folder.
func elsewhere(t *testing.T, h *tar.Header, from, to string) *tar.Header {
	t.Helper()
	rel, err := filepath.Rel(from, h.Name)
	if err != nil || !filepath.IsLocal(rel) {
		t.Errorf("%s is not below %s", h.Name, from)
	}
	c := *h
	c.Name = filepath.Join(to, rel)
	return &c
}

// TestJob packs a package's folder and unpacks it elsewhere.
func TestJob(t *testing.T) {
	from, to, program := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "x.test")
	if err := os.WriteFile(program, []byte("\x7fELF"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, from, map[string]string{
		"a.go": "package a", "notes.txt": "n", "testdata/x/y.txt": "deep", "testdata/m/go.mod": "module m", "testdata/.dot": "d",
		"pages/index.html": "<p>", "sub/b.go": "package b", "sub/testdata/z": "not ours", "mod/go.mod": "module n", ".git/config": "g",
	})
	if err := os.Symlink("y.txt", filepath.Join(from, "testdata/x/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(from, "testdata/dangling")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	want := Job{Dir: from, Args: []string{"-test.v", `a "b" c`}, Env: []string{"A=ü b"}, Begin: "go", Program: program}
	size, err := Write(&b, want)
	if err != nil || size != int64(b.Len()) || size%Align != 0 {
		t.Fatalf("size %d of %d, %v", size, b.Len(), err)
	}
	found := false
	got, err := Read(&b, func(j Job, h *tar.Header, r io.Reader) error {
		if h.Name == ProgramPath {
			text, err := io.ReadAll(r)
			found = string(text) == "\x7fELF" && h.Mode == 0o755
			return err
		}
		return Unpack(elsewhere(t, h, from, to), r)
	})
	if !found {
		t.Error("the test program does not come")
	}
	if err != nil || got.Program != "" || got.Dir != want.Dir || !slices.Equal(got.Args, want.Args) || !slices.Equal(got.Env, want.Env) || got.Begin != want.Begin {
		t.Fatalf("job %+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"a.go": "package a", "notes.txt": "n", "testdata/x/y.txt": "deep", "testdata/x/link": "deep", "testdata/m/go.mod": "module m", "testdata/.dot": "d", "pages/index.html": "<p>",
	} {
		if b, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(b) != text {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for _, name := range []string{"sub", "mod", ".git"} {
		if _, err := os.Lstat(filepath.Join(to, name)); !os.IsNotExist(err) {
			t.Errorf("%s was taken along: %v", name, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(to, "testdata/dangling")); target != "nowhere" {
		t.Errorf("dangling link: %q, %v", target, err)
	}
}

// TestMore takes files from elsewhere below the root, once each.
func TestMore(t *testing.T) {
	root, to := t.TempDir(), t.TempDir()
	write(t, root, map[string]string{"src/a/a.go": "a", "src/a/b/b.go": "b", "src/c/c.go": "c", "src/c/d/d.go": "d", "VERSION": "v"})
	var b bytes.Buffer
	want := Job{Root: root, Dir: filepath.Join(root, "src/a")}
	if _, err := Write(&b, want, "src/c", "src/c/d", "VERSION"); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&b, func(j Job, h *tar.Header, r io.Reader) error {
		return Unpack(elsewhere(t, h, root, to), r)
	})
	if err != nil || got.Root != root || got.Dir != want.Dir {
		t.Fatalf("job %+v, %v", got, err)
	}
	for name, text := range map[string]string{"src/a/a.go": "a", "src/c/c.go": "c", "src/c/d/d.go": "d", "VERSION": "v"} {
		if b, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(b) != text {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if _, err := os.Stat(filepath.Join(to, "src/a/b")); !os.IsNotExist(err) {
		t.Errorf("a sub-folder with a package was taken along: %v", err)
	}
	if _, err := Write(io.Discard, want, "src/none"); err == nil {
		t.Error("a file that is not there was taken")
	}
}

// archive makes one with headers as given.
func archive(t testing.TB, job string, headers ...*tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range append([]*tar.Header{{Name: jobName, Size: int64(len(job))}}, headers...) {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		text := job
		if h.Name != jobName {
			text = strings.Repeat("x", int(min(h.Size, 1<<20)))
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Flush() // fails for a size that was not written in full, which is meant
	return &b
}

// TestHostile reads what Write does not write.
func TestHostile(t *testing.T) {
	const job = `{"Dir":"/d"}`
	for _, tt := range []struct {
		name, want string
		b          *bytes.Buffer
	}{
		{"nothing", "no test job", new(bytes.Buffer)},
		{"zeros", "no test job", bytes.NewBuffer(make([]byte, 8192))},
		{"no JSON", "job.json", archive(t, "{")},
		{"relative folder", "not absolute", archive(t, `{"Dir":"d"}`)},
		{"relative root", "not absolute", archive(t, `{"Dir":"/d","Root":"d"}`)},
		{"upwards", "bad file name", archive(t, job, &tar.Header{Name: "files/../x", Size: 1})},
		{"absolute", "bad file name", archive(t, job, &tar.Header{Name: "files//etc/x", Size: 1})},
		{"elsewhere", "bad file name", archive(t, job, &tar.Header{Name: "x", Size: 1})},
		{"too large", "too much", archive(t, job, &tar.Header{Name: "files/x", Size: MaxTotal + 1})},
		{"device", "neither file nor folder", archive(t, job, &tar.Header{Name: "files/x", Typeflag: tar.TypeBlock})},
	} {
		dir := t.TempDir()
		_, err := Read(tt.b, func(j Job, h *tar.Header, r io.Reader) error {
			return Unpack(elsewhere(t, h, "/d", dir), r)
		})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
			t.Errorf("%s left %v, %v", tt.name, left, err)
		}
	}
}

func TestResults(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"cpuprofile": "samples", "other": "o", "folder/x": "x"})
	var b bytes.Buffer
	if err := WriteResults(&b, dir); err != nil || b.Len()%Align != 0 {
		t.Fatalf("%d bytes, %v", b.Len(), err)
	}
	b.Write(make([]byte, 8192)) // the rest of the disk
	got := map[string]string{}
	err := ReadResults(&b, map[string]bool{"cpuprofile": true, "folder": true}, func(name string, r io.Reader) error {
		text, err := io.ReadAll(r)
		got[name] = string(text)
		return err
	})
	if err != nil || !maps.Equal(got, map[string]string{"cpuprofile": "samples"}) {
		t.Errorf("%q, %v", got, err)
	}
	if err := ReadResults(bytes.NewReader(make([]byte, 8192)), nil, nil); err != nil {
		t.Errorf("a disk that nobody wrote: %v", err)
	}
}

// FuzzRead gives both readers what no writer wrote: they end, and names stay below
// their folder.
func FuzzRead(f *testing.F) {
	f.Add(archive(f, `{"Dir":"/d"}`, &tar.Header{Name: "files/a", Size: 3}).Bytes())
	f.Add(archive(f, `{"Dir":"/d"}`, &tar.Header{Name: "cpuprofile", Size: 3}).Bytes())
	f.Add(archive(f, `{"Dir":"/d"}`, &tar.Header{Name: programName, Size: 3}).Bytes())
	f.Add(make([]byte, 2048))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = Read(bytes.NewReader(b), func(j Job, h *tar.Header, r io.Reader) error {
			rel, err := filepath.Rel(j.root(), h.Name)
			if h.Name != ProgramPath && (err != nil || !filepath.IsLocal(rel)) {
				t.Errorf("name %q", h.Name)
			}
			_, err = io.Copy(io.Discard, r)
			return err
		})
		_ = ReadResults(bytes.NewReader(b), map[string]bool{"cpuprofile": true}, func(name string, r io.Reader) error {
			if name != "cpuprofile" {
				t.Errorf("name %q", name)
			}
			_, err := io.Copy(io.Discard, r)
			return err
		})
	})
}
