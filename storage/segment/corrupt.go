package segment

import (
	"errors"
	"fmt"

	"github.com/prickledb/prickle/storage/encoding"
)

// CorruptError is returned when bytes of a segment are not what was written.
type CorruptError struct {
	File    string // empty for an image in memory
	Section string // which part of the file
	Offset  int64  // of the damaged bytes, in the file
	Want    uint32 // the checksum stored
	Got     uint32 // the checksum of the bytes
	Err     error  // what is wrong, if it is not a checksum
}

func (e *CorruptError) Error() string {
	name := e.File
	if name == "" {
		name = "in memory"
	}
	if e.Err != nil {
		return fmt.Sprintf("segment %s: %s at byte %d: %v", name, e.Section, e.Offset, e.Err)
	}
	return fmt.Sprintf("segment %s: %s at byte %d: checksum %08x, want %08x", name, e.Section, e.Offset, e.Got, e.Want)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// corrupt says in which section of which file an error occurred.
func (r *Reader) corrupt(name string, s section, err error) error {
	var known *CorruptError
	if errors.As(err, &known) {
		return err
	}
	out := &CorruptError{File: r.name, Section: name, Offset: int64(s.off)}
	var damage *encoding.DamageError
	if !errors.As(err, &damage) {
		out.Err = err
		return out
	}
	out.Offset += int64(damage.Offset)
	out.Want, out.Got = damage.Want, damage.Got
	if damage.Block >= 0 {
		out.Section = fmt.Sprintf("%s: block %d", name, damage.Block)
	}
	return out
}
