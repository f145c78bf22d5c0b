package blob

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Mem keeps objects in memory, for tests.
type Mem struct {
	// Hook, if set, is called before every operation (put, get, list, delete, stat) with
	// the name. Its error is the operation's.
	Hook func(op, name string) error

	mu      sync.Mutex
	objects map[string][]byte
}

// NewMem is an empty store.
func NewMem() *Mem { return &Mem{objects: map[string][]byte{}} }

// String implements Store.
func (m *Mem) String() string { return "mem://" }

func (m *Mem) hook(op, name string) error {
	if m.Hook == nil {
		return nil
	}
	if err := m.Hook(op, name); err != nil {
		return fmt.Errorf("%s %s: %w", op, name, err)
	}
	return nil
}

// Names lists all objects, ascending.
func (m *Mem) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for n := range m.objects {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Object is the content of one; changing it damages the object.
func (m *Mem) Object(name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objects[name]
}

// Put implements Store.
func (m *Mem) Put(_ context.Context, name string, r io.Reader, size int64, ifAbsent bool) error {
	if err := m.hook("put", name); err != nil {
		return err
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(r, raw); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.objects[name]; there && ifAbsent {
		return fmt.Errorf("%s: %w", name, ErrExists)
	}
	m.objects[name] = raw
	return nil
}

// Get implements Store.
func (m *Mem) Get(_ context.Context, name string, off, size int64) (io.ReadCloser, error) {
	if err := m.hook("get", name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	raw, there := m.objects[name]
	if !there {
		return nil, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	raw = raw[min(off, int64(len(raw))):]
	if size >= 0 {
		raw = raw[:min(size, int64(len(raw)))]
	}
	return io.NopCloser(bytes.NewReader(slices.Clone(raw))), nil
}

// List implements Store.
func (m *Mem) List(_ context.Context, dir string) ([]string, error) {
	if err := m.hook("list", dir); err != nil {
		return nil, err
	}
	prefix := ""
	if dir != "" {
		prefix = dir + "/"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for n := range m.objects {
		if rest, ok := strings.CutPrefix(n, prefix); ok {
			rest, _, _ = strings.Cut(rest, "/")
			out = append(out, rest)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Delete implements Store.
func (m *Mem) Delete(_ context.Context, name string) error {
	if err := m.hook("delete", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}

// Stat implements Store.
func (m *Mem) Stat(_ context.Context, name string) (int64, error) {
	if err := m.hook("stat", name); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	raw, there := m.objects[name]
	if !there {
		return 0, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	return int64(len(raw)), nil
}
