// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package testjob is what hvgo test and a test program in a guest say to each
// other, by two raw disks with a tar archive each:
//
//	first   to the guest    job.json, then files below files/: those of the package's folder, and what else it was given;
//	                        and perhaps program, the test program as Go's linker made it
//	second  from the guest  profiles and the like, which the tests wrote
//
// Each side takes what the other wrote for untrusted: names stay below their
// folder, sizes are bounded, and nothing but files and folders is unpacked.
package testjob

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Bounds, in bytes but for MaxFiles.
const (
	MaxJob   = 1 << 20   // job.json
	MaxTotal = 256 << 20 // all files of an archive
	MaxFiles = 20000
)

// Align is what the length of an archive is a multiple of: a disk has whole blocks.
const Align = 4096

const (
	jobName     = "job.json"
	filePrefix  = "files/"
	programName = "program"
)

// DiskEnv is the variable on the guest's command line that names its first disk,
// such as /dev/sda; ResultsEnv names the second, if there is one.
const (
	DiskEnv    = "HVGO_TEST_JOB"
	ResultsEnv = "HVGO_TEST_RESULTS"
)

// OutDir is the folder inside whose files are brought back.
const OutDir = "/tmp/hvgo-results"

// ProgramPath is what a guest's program is called inside: by os.Args[0] and
// /proc/self/exe.
const ProgramPath = "/init"

// Job is what the guest is to do.
type Job struct {
	Dir   string   // working directory, absolute
	Root  string   // folder that holds Dir and all files, absolute; "" is Dir
	Args  []string // of the test program, without its name
	Env   []string // NAME=value
	Begin string   // the line to print before the tests: what came before is not theirs

	// Program is the file that the guest is to have at ProgramPath, for tests that
	// read their own program; "" is none, which saves the guest its memory.
	Program string `json:"-"`
}

// root is where names in the archive begin.
func (j *Job) root() string {
	if j.Root == "" {
		return j.Dir
	}
	return j.Root
}

// Write writes the job and the files of its folder as an archive, and the files and
// whole folders that more names, by paths below the job's Root.
func Write(w io.Writer, j Job, more ...string) (size int64, err error) {
	text, err := json.Marshal(j)
	if err != nil {
		return 0, err
	}
	if len(text) > MaxJob {
		return 0, fmt.Errorf("flags and environment of the tests have %d bytes; at most %d fit", len(text), MaxJob)
	}
	count := &counter{w: w}
	t := tar.NewWriter(count)
	if err := t.WriteHeader(&tar.Header{Name: jobName, Mode: 0o644, Size: int64(len(text))}); err != nil {
		return 0, err
	}
	if _, err := t.Write(text); err != nil {
		return 0, err
	}
	p := packer{t: t, dir: j.Dir, root: j.root(), prefix: filePrefix}
	if err := filepath.WalkDir(j.Dir, p.visit); err != nil {
		return 0, err
	}
	for _, name := range more {
		p.dir = filepath.Join(j.root(), filepath.FromSlash(name))
		p.whole = true
		if err := filepath.WalkDir(p.dir, p.visit); err != nil {
			return 0, err
		}
	}
	if j.Program != "" {
		if err := p.program(j.Program); err != nil {
			return 0, err
		}
	}
	if err := t.Close(); err != nil {
		return 0, err
	}
	return count.pad()
}

// packer adds the files of a package's folder: all of the folder's own, and those
// of its sub-folders that hold no package. testdata is taken whole.
type packer struct {
	t      *tar.Writer
	dir    string // that is walked
	root   string // where names begin
	prefix string // of all names
	whole  bool   // takes all sub-folders
	done   map[string]bool
	files  int
	total  int64
}

func (p *packer) visit(path string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(p.dir, path)
	if err != nil || rel == "." && d.IsDir() {
		return err
	}
	if d.IsDir() && !p.whole && !wanted(path, rel) {
		return fs.SkipDir
	}
	if rel, err = filepath.Rel(p.root, path); err != nil || p.done[rel] {
		return err
	}
	if p.done == nil {
		p.done = map[string]bool{}
	}
	p.done[rel] = true
	if p.files++; p.files > MaxFiles {
		return fmt.Errorf("%s has more than %d files, too many for a guest", p.dir, MaxFiles)
	}
	st, err := os.Stat(path) // a symbolic link stands for what it leads to
	if err != nil || d.Type()&fs.ModeSymlink != 0 && st.IsDir() {
		return p.link(path, rel)
	}
	h := &tar.Header{Name: p.prefix + filepath.ToSlash(rel), Mode: int64(st.Mode().Perm()), ModTime: st.ModTime()}
	switch {
	case st.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		return p.t.WriteHeader(h)
	case !st.Mode().IsRegular():
		return nil // a socket, a pipe
	}
	h.Typeflag, h.Size = tar.TypeReg, st.Size()
	return p.file(path, h)
}

// file adds a regular file.
func (p *packer) file(path string, h *tar.Header) error {
	if p.total += h.Size; p.total > MaxTotal {
		return fmt.Errorf("the files of %s have more than %d MiB, too much for a guest", p.dir, MaxTotal>>20)
	}
	if err := p.t.WriteHeader(h); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(p.t, f, h.Size)
	return err
}

// program adds the test program.
func (p *packer) program(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	return p.file(path, &tar.Header{Name: programName, Typeflag: tar.TypeReg, Size: st.Size(), Mode: 0o755, ModTime: st.ModTime()})
}

// link adds a symbolic link as it is: to a folder, or to nothing.
func (p *packer) link(path, rel string) error {
	target, err := os.Readlink(path)
	if err != nil {
		return err
	}
	return p.t.WriteHeader(&tar.Header{Name: p.prefix + filepath.ToSlash(rel), Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777})
}

// wanted tells whether a sub-folder goes into the guest.
func wanted(path, rel string) bool {
	first, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
	if first == "testdata" {
		return true
	}
	base := filepath.Base(path)
	if strings.HasPrefix(base, ".") || base == "node_modules" || base == "vendor" {
		return false
	}
	for _, pattern := range []string{"*.go", "go.mod"} {
		if found, err := filepath.Glob(filepath.Join(escape(path), pattern)); err != nil || len(found) > 0 {
			return false
		}
	}
	return true
}

// escape makes a pattern that matches a path only.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Read reads an archive of Write's: the job, and through unpack each file, with the
// path that it is to have: below the job's root, or ProgramPath.
func Read(r io.Reader, unpack func(j Job, h *tar.Header, r io.Reader) error) (Job, error) {
	t := tar.NewReader(r)
	var j Job
	h, err := t.Next()
	if err != nil || h.Name != jobName || h.Size > MaxJob {
		return j, fmt.Errorf("no test job on the disk (%v)", err)
	}
	if err := json.NewDecoder(io.LimitReader(t, MaxJob)).Decode(&j); err != nil {
		return j, fmt.Errorf("%s: %w", jobName, err)
	}
	if !filepath.IsAbs(j.Dir) {
		return j, fmt.Errorf("the working directory %q is not absolute", j.Dir)
	}
	if !filepath.IsAbs(j.root()) {
		return j, fmt.Errorf("the root folder %q is not absolute", j.Root)
	}
	return j, each(t, func(h *tar.Header) error {
		if h.Name == programName {
			h.Name = ProgramPath
			return unpack(j, h, t)
		}
		name, ok := strings.CutPrefix(h.Name, filePrefix)
		name = strings.TrimSuffix(name, "/")
		if !ok || !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("bad file name %q", h.Name)
		}
		h.Name = filepath.Join(j.root(), filepath.FromSlash(name))
		return unpack(j, h, t)
	})
}

// each goes through an archive within the bounds.
func each(t *tar.Reader, f func(h *tar.Header) error) error {
	total := int64(0)
	for files := 1; ; files++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if h.Size < 0 || h.Size > MaxTotal-total || files > MaxFiles {
			return fmt.Errorf("too much in the archive, at %q", h.Name)
		}
		total += h.Size
		if err := f(h); err != nil {
			return err
		}
	}
}

// Unpack makes the file, folder or symbolic link that Read gave.
func Unpack(h *tar.Header, r io.Reader) error {
	path := h.Name
	switch h.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(path, 0o755)
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, path)
	case tar.TypeReg:
	default:
		return fmt.Errorf("%q is neither file nor folder", h.Name)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(h.Mode).Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	err = errors.Join(err, f.Close())
	if err != nil {
		return err
	}
	return os.Chtimes(path, h.ModTime, h.ModTime)
}

// WriteResults writes the regular files of a folder as an archive.
func WriteResults(w io.Writer, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	count := &counter{w: w}
	p := packer{t: tar.NewWriter(count), dir: dir, root: dir}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := p.visit(filepath.Join(dir, e.Name()), e, nil); err != nil {
			return err
		}
	}
	if err := p.t.Close(); err != nil {
		return err
	}
	_, err = count.pad()
	return err
}

// ReadResults reads an archive of WriteResults's. save gets the files that names
// has; others are left out.
func ReadResults(r io.Reader, names map[string]bool, save func(name string, r io.Reader) error) error {
	t := tar.NewReader(r)
	return each(t, func(h *tar.Header) error {
		if h.Typeflag != tar.TypeReg || !names[h.Name] {
			return nil
		}
		return save(h.Name, t)
	})
}

// counter counts what is written, to fill up to whole blocks.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

func (c *counter) pad() (int64, error) {
	_, err := c.Write(make([]byte, -c.n&(Align-1)))
	return c.n, err
}
