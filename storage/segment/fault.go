package segment

import (
	"errors"
	"fmt"
	"runtime/debug"
	"unsafe"
)

// faultError is memory that could not be read: the file behind a mapping was cut short,
// or the disk has an error. Without a guard it would end the process.
type faultError struct {
	address uintptr
	panic   any // as it was raised
}

func (e *faultError) Error() string {
	return fmt.Sprintf("memory at %#x cannot be read", e.address)
}

// errUnreadable is what is wrong with the bytes of a file behind a fault.
var errUnreadable = errors.New("cannot be read: the file was cut short, or the disk has an error; restore it from a backup")

// guard calls work and turns a fault in mapped memory into an error. It is for this
// goroutine alone: work that starts others gives each a guard of its own.
func guard(work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			fault, ok := p.(interface{ Addr() uintptr })
			if !ok {
				panic(p)
			}
			err = &faultError{fault.Addr(), p}
		}
	}()
	return work()
}

// touch calls work, which reads bytes of the file. A fault among them is a CorruptError; any
// other is what it was.
func (r *Reader) touch(work func() error) error {
	if r.file == nil {
		return work()
	}
	if err := r.fill(); err != nil {
		return err
	}
	return r.located(guard(work))
}

// fill has the file become whole. Only then anything but its directory is read.
func (r *Reader) fill() error {
	if r.partial == nil || r.filled.Load() {
		return nil
	}
	r.filling.Lock()
	defer r.filling.Unlock()
	if r.filled.Load() {
		return nil
	}
	data, err := r.partial.Fill()
	if err == nil && int64(len(data)) != r.size {
		err = fmt.Errorf("%d bytes, want %d", len(data), r.size)
	}
	if err != nil {
		return fmt.Errorf("segment %s: %w", r.name, err)
	}
	r.data = data
	r.filled.Store(true)
	return nil
}

// located says in which file a fault was, if it was in r's.
func (r *Reader) located(err error) error {
	var fault *faultError
	if !errors.As(err, &fault) {
		return err
	}
	if !r.holds(fault.address) {
		panic(fault.panic)
	}
	return &CorruptError{File: r.name, Section: "mapped file", Offset: int64(fault.address - r.start()), Err: errUnreadable}
}

// holds says whether an address is in the mapping.
func (r *Reader) holds(address uintptr) bool {
	return address >= r.start() && address < r.start()+uintptr(len(r.data))
}

func (r *Reader) start() uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(r.data))) }
