package ask

import (
	"regexp"
	"strconv"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/prickledb/prickle/sql/insight"
)

// Cache keeps the rows of statements. A key holds the version of the project's data that was
// read, so an answer is given again exactly as long as it would be the same.
type Cache struct {
	rows *ristretto.Cache[string, *insight.Rows]
}

// DefaultCacheBytes is how much a cache holds unless it is told.
const DefaultCacheBytes = 32 << 20

// NewCache makes a cache that holds about so many bytes; 0 means DefaultCacheBytes.
func NewCache(bytes int64) (*Cache, error) {
	if bytes == 0 {
		bytes = DefaultCacheBytes
	}
	rows, err := ristretto.NewCache(&ristretto.Config[string, *insight.Rows]{NumCounters: 100_000, MaxCost: bytes, BufferItems: 64})
	if err != nil {
		return nil, err
	}
	return &Cache{rows}, nil
}

// Close ends the cache.
func (c *Cache) Close() { c.rows.Close() }

// changing are functions whose value is not the same for the same data.
var changing = regexp.MustCompile(`(?i)\b(now|random|gen_random_uuid|uuid_generate_v7|clock_timestamp|statement_timestamp|transaction_timestamp|current_\w+|localtime\w*|nextval)\b`)

// referring is a reference to a cohort, whose definition may hold such functions.
var referring = regexp.MustCompile(`(?i)\b(in|from|join)\s+cohort\s+[^\s(]`)

// key names what a statement answers on a state; empty if that changes all the time.
func (a *Asker) key(text string) string {
	if a.Cache == nil || changing.MatchString(text) || referring.MatchString(text) {
		return ""
	}
	p := a.snapshot.Project()
	return strconv.FormatUint(uint64(p.ID), 10) + "/" + strconv.FormatUint(a.snapshot.Version(), 10) + "/" + a.sess.Location().String() + "/" + text
}

// cost is about how many bytes rows take.
func cost(key string, r *insight.Rows) int64 {
	n := int64(len(key)) + 200
	for _, c := range r.Cols {
		n += c.Bytes()
	}
	return n
}
