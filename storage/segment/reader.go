package segment

import (
	"errors"
	"io"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

var errTODO = errors.New("segment: not there yet")

// Input is a batch and which person each of its rows belongs to.
type Input struct {
	Batch    *event.Batch
	Ordinals []uint32 // one a row of Batch
	Rows     []uint32 // the rows to keep, ascending; nil keeps all
}

// Options says what a segment is built for.
type Options struct {
	Image bool // in memory only: nothing is compressed or indexed that is quicker computed
}

// Build makes a segment of the rows that lie in the days from firstDay on.
func Build(in []Input, firstDay int32, days int, opt Options) ([]byte, error) { return nil, errTODO }

// Merge makes one segment of several.
func Merge(in []*Reader, root func(uint32) uint32, firstDay int32, days int) ([]byte, error) {
	return nil, errTODO
}

// Reader is an open segment.
type Reader struct{}

// OpenBytes opens a segment in memory.
func OpenBytes(image []byte) (*Reader, error) { return nil, errTODO }

func (r *Reader) Rows() int                                   { return 0 }
func (r *Reader) FirstDay() int32                             { return 0 }
func (r *Reader) Days() int                                   { return 0 }
func (r *Reader) MinTime() int64                              { return 0 }
func (r *Reader) MaxTime() int64                              { return 0 }
func (r *Reader) Size() int64                                 { return 0 }
func (r *Reader) CachedBytes() int64                          { return 0 }
func (r *Reader) Close() error                                { return nil }
func (r *Reader) Verify() error                               { return errTODO }
func (r *Reader) Ranges() []*Range                            { return nil }
func (r *Reader) Range(event string) *Range                   { return nil }
func (r *Reader) Persons() (*Runs, error)                     { return nil, errTODO }
func (r *Reader) PersonBitmap() (*roaring.Bitmap, error)      { return nil, errTODO }
func (r *Reader) AllDayMasks() ([]uint32, error)              { return nil, errTODO }
func (r *Reader) TimeCodes(dst []uint32, lo, hi int) error    { return errTODO }
func (r *Reader) Times(dst []int64, lo, hi int) error         { return errTODO }
func (r *Reader) UUIDs(dst []vec.UUIDValue, lo, hi int) error { return errTODO }
func (r *Reader) Ordinals(dst []uint32, lo, hi int) error     { return errTODO }
func (r *Reader) DistinctIDs(lo, hi int) (*vec.Vector, error) { return nil, errTODO }
func (r *Reader) CreatedAt(dst []int64, lo, hi int) error     { return errTODO }

// Runs is persons in ascending order and where the rows of each begin.
type Runs struct {
	Ordinals []uint32
	Starts   []uint32 // absolute segment rows, one more than there are ordinals; nil for Persons()
}

// Range is the rows of one event name, [Lo, Hi).
type Range struct {
	Event  string
	Lo, Hi int
}

func (g *Range) Runs() (*Runs, error)                       { return nil, errTODO }
func (g *Range) DayMasks() ([]uint32, error)                { return nil, errTODO }
func (g *Range) DayBitmap(day int) (*roaring.Bitmap, error) { return nil, errTODO }
func (g *Range) Keys() []string                             { return nil }
func (g *Range) Property(key string, as vec.Type, lo, hi int) (*vec.Vector, error) {
	return nil, errTODO
}
func (g *Range) Properties(lo, hi int) (*vec.Vector, error) { return nil, errTODO }

// Dump prints what is in a segment.
func Dump(w io.Writer, r *Reader) error { return errTODO }

// CorruptError is returned when bytes of a segment are not what was written.
type CorruptError struct {
	File    string
	Section string
	Offset  int64
	Want    uint32
	Got     uint32
}

func (e *CorruptError) Error() string { return "corrupt" }
