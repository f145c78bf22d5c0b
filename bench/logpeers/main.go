package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"

	"github.com/prickledb/prickle/cluster/raftlog"
	"github.com/prickledb/prickle/storage/vfs"
)

// store is what is measured: groups that may write at the same time.
type store struct {
	groups []raft.LogStore
	close  func() error
}

// opener opens a store of so many groups.
type opener struct {
	name string
	open func(dir string, groups int) (store, error)
}

var peers = []opener{
	{"raftlog", func(dir string, groups int) (store, error) {
		l, err := raftlog.Open(raftlog.Options{FS: vfs.OS(), Dir: dir})
		if err != nil {
			return store{}, err
		}
		for l.Stats().Spares < 3 { // as after the first minute of a server
			time.Sleep(10 * time.Millisecond)
		}
		s := store{close: l.Close}
		for id := range groups {
			g := l.Group(uint32(id))
			g.SetDurable(1 << 62)
			s.groups = append(s.groups, g)
		}
		return s, nil
	}},
	{"raft-wal", func(dir string, groups int) (store, error) {
		return each(dir, groups, func(dir string) (raft.LogStore, error) {
			return wal.Open(dir, wal.WithSegmentSize(64<<20), wal.WithLogger(hclog.NewNullLogger()))
		})
	}},
	{"raft-boltdb", func(dir string, groups int) (store, error) {
		return each(dir, groups, func(dir string) (raft.LogStore, error) {
			return boltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
		})
	}},
}

// each opens a store a group, for peers that know no groups.
func each(dir string, groups int, open func(dir string) (raft.LogStore, error)) (store, error) {
	var s store
	for id := range groups {
		sub := filepath.Join(dir, fmt.Sprint(id))
		if err := os.MkdirAll(sub, 0o750); err != nil {
			return s, err
		}
		one, err := open(sub)
		if err != nil {
			return s, err
		}
		s.groups = append(s.groups, one)
	}
	s.close = func() error {
		var err error
		for _, g := range s.groups {
			if e := g.(io.Closer).Close(); err == nil {
				err = e
			}
		}
		return err
	}
	return s, nil
}

// load is one way to write.
type load struct {
	name   string
	bytes  int // of an entry
	batch  int // entries a call
	groups int
}

func main() {
	dir := flag.String("dir", os.TempDir(), "`directory` on the disk to measure")
	mb := flag.Int("mb", 64, "`megabytes` a store, load and round")
	rounds := flag.Int("rounds", 3, "how often all is measured")
	most := flag.Int("calls", 500, "`calls` a store, load and round at most")
	flag.Parse()
	if err := run(*dir, *mb<<20, *rounds, *most); err != nil {
		log.Fatal(err)
	}
}

func run(dir string, bytes, rounds, most int) error {
	var loads []load
	for _, size := range []int{4 << 10, 256 << 10, 1 << 20} {
		loads = append(loads,
			load{"1 caller", size, 1, 1},
			load{"1 caller, 16 entries a call", size, 16, 1},
			load{"32 groups", size, 1, 32})
	}
	fmt.Printf("%-28s %8s  %-12s %8s %10s %10s %7s\n", "load", "entry", "store", "MB/s", "p50", "p99", "calls")
	for _, l := range loads {
		took := make([]time.Duration, len(peers))
		calls := make([][]time.Duration, len(peers))
		written := make([]int, len(peers))
		for range rounds {
			for _, i := range rand.Perm(len(peers)) {
				t, c, err := measure(dir, peers[i], l, bytes, most)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", peers[i].name, l.name, err)
				}
				took[i] += t
				calls[i] = append(calls[i], c...)
				written[i] += len(c) * l.batch * l.bytes
			}
		}
		for i, p := range peers {
			slices.Sort(calls[i])
			at := func(q float64) time.Duration {
				return calls[i][int(q*float64(len(calls[i])-1))].Round(10 * time.Microsecond)
			}
			fmt.Printf("%-28s %5d KB  %-12s %8.1f %10v %10v %7d\n", l.name, l.bytes>>10, p.name,
				float64(written[i])/1e6/took[i].Seconds(), at(0.5), at(0.99), len(calls[i]))
		}
	}
	return nil
}

// measure writes with one store into a new directory, after a little to get it going.
func measure(dir string, p opener, l load, bytes, most int) (took time.Duration, calls []time.Duration, err error) {
	dir, err = os.MkdirTemp(dir, "logpeers")
	if err != nil {
		return 0, nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left is seen
	s, err := p.open(dir, l.groups)
	if err != nil {
		return 0, nil, err
	}
	defer s.close() //nolint:errcheck // nothing is read back
	data := make([]byte, l.bytes)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	n := max(4, min(most, bytes/(l.bytes*l.batch))/l.groups)
	const warm = 4
	time.Sleep(300 * time.Millisecond) // stores prepare their next files
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := make(chan bool)
	var ready sync.WaitGroup
	for _, g := range s.groups {
		ready.Add(1)
		wg.Go(func() {
			mine := make([]time.Duration, 0, n)
			for i := range warm + n {
				if i == warm {
					ready.Done()
					<-begin
				}
				logs := make([]*raft.Log, l.batch)
				for j := range logs {
					logs[j] = &raft.Log{Index: uint64(i*l.batch + j + 1), Term: 1, Data: data}
				}
				start := time.Now()
				if e := g.StoreLogs(logs); e != nil {
					mu.Lock()
					err = e
					mu.Unlock()
				}
				if i >= warm {
					mine = append(mine, time.Since(start))
				}
			}
			mu.Lock()
			calls = append(calls, mine...)
			mu.Unlock()
		})
	}
	ready.Wait()
	start := time.Now()
	close(begin)
	wg.Wait()
	return time.Since(start), calls, err
}
