package session

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prickledb/prickle/cluster"
)

// ErrCutGone is wrapped by the error of a read at a state that is not kept any more.
var ErrCutGone = errors.New("cut_gone")

const (
	// cutAge is how long a state can be read again.
	cutAge = 10 * time.Minute
	// maxCuts and DefaultCutBytes bound what is kept of a project, and of all: segments that
	// were merged away stay on disk as long, and images of memtables in memory. Beyond them
	// the oldest goes early.
	maxCuts         = 64
	DefaultCutBytes = 64 << 20
)

// Cuts keeps the snapshots of recent answers, so that who has the token of one can read
// exactly that state again. The zero value is usable.
type Cuts struct {
	// Bytes bounds the memory of what is kept; 0 is DefaultCutBytes.
	Bytes int64

	mu       sync.Mutex
	projects map[uint32][]*kept // oldest first
	bytes    int64
}

// kept is a snapshot that several read, of which Cuts is one until it lets go.
type kept struct {
	Cut
	pin   Pin
	bytes int64
	mu    sync.Mutex
	holds int
}

// HeldPin is a reader's hold on a kept snapshot.
type HeldPin struct {
	Cut
	kept *kept
	once sync.Once
}

// Release implements Pin.
func (h *HeldPin) Release() { h.once.Do(h.kept.release) }

func (k *kept) hold() *HeldPin {
	k.mu.Lock()
	k.holds++
	k.mu.Unlock()
	return &HeldPin{Cut: k.Cut, kept: k}
}

func (k *kept) release() {
	k.mu.Lock()
	k.holds--
	last := k.holds == 0
	k.mu.Unlock()
	if last {
		k.pin.Release()
	}
}

// inside is the pin that the engine made.
func inside(p Pin) Pin {
	if h, ok := p.(*HeldPin); ok {
		return h.kept.pin
	}
	return p
}

// Keep takes over a pin and gives a hold on it. If the newest snapshot of the project is of
// the same state, that one stays the kept one.
func (c *Cuts) Keep(project uint32, pin Pin, cut Cut) Pin {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.projects[project]
	if n := len(list); n > 0 && list[n-1].Index >= cut.Index {
		return pin
	}
	k := &kept{Cut: cut, pin: pin, holds: 1}
	if sized, ok := pin.(interface{ HeldBytes() int64 }); ok {
		k.bytes = sized.HeldBytes()
	}
	limit := c.Bytes
	if limit == 0 {
		limit = DefaultCutBytes
	}
	if k.bytes > limit {
		return pin
	}
	if c.projects == nil {
		c.projects = map[uint32][]*kept{}
	}
	c.projects[project] = append(list, k)
	c.bytes += k.bytes
	for len(c.projects[project]) > maxCuts {
		c.drop(project)
	}
	for c.bytes > limit {
		c.drop(c.oldest())
	}
	return k.hold()
}

// Pin gives a hold on the snapshot of a state.
func (c *Cuts) Pin(project uint32, index uint64) (*HeldPin, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.projects[project] {
		if k.Index == index {
			return k.hold(), nil
		}
	}
	token := cluster.Token{Index: index}
	if list := c.projects[project]; len(list) > 0 {
		return nil, fmt.Errorf("%w: the state %v is not kept; the oldest that is kept is %v", ErrCutGone, token, list[0].Token())
	}
	return nil, fmt.Errorf("%w: the state %v is not kept, nor is any other", ErrCutGone, token)
}

// oldest is the project with the snapshot that was taken first. The caller holds mu.
func (c *Cuts) oldest() (project uint32) {
	first := time.Time{}
	for id, list := range c.projects {
		if first.IsZero() || list[0].Taken.Before(first) {
			project, first = id, list[0].Taken
		}
	}
	return project
}

// drop lets go of a project's oldest snapshot. The caller holds mu.
func (c *Cuts) drop(project uint32) {
	k := c.projects[project][0]
	c.bytes -= k.bytes
	if c.projects[project] = c.projects[project][1:]; len(c.projects[project]) == 0 {
		delete(c.projects, project)
	}
	k.release()
}

// Expire lets go of what was taken ten minutes before now.
func (c *Cuts) Expire(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for project := range c.projects {
		for len(c.projects[project]) > 0 && now.Sub(c.projects[project][0].Taken) > cutAge {
			c.drop(project)
		}
	}
}

// Forget lets go of everything of a project.
func (c *Cuts) Forget(project uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.projects[project]) > 0 {
		c.drop(project)
	}
}

// Clear lets go of everything, as on a full disk and at the end.
func (c *Cuts) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for project := range c.projects {
		for len(c.projects[project]) > 0 {
			c.drop(project)
		}
	}
}
