package dedup

import (
	"errors"
	"runtime/debug"
	"unsafe"
)

var errUnreadable = errors.New("cannot be read: the file was cut short, or the disk has an error")

// guard calls work, which reads the mapped bytes of r alone, and turns a fault in them
// into a CorruptError. Without it a bad disk would end the process.
func (r *Run) guard(work func() error) (err error) {
	return guard([]*Run{r}, work)
}

// guard is the same for work that reads several runs.
func guard(runs []*Run, work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		fault, ok := p.(interface{ Addr() uintptr })
		if !ok {
			panic(p)
		}
		for _, r := range runs {
			start := uintptr(unsafe.Pointer(unsafe.SliceData(r.data)))
			if at := fault.Addr() - start; fault.Addr() >= start && at < uintptr(len(r.data)) {
				err = r.corrupt(int(at), errUnreadable)
				return
			}
		}
		panic(p)
	}()
	return work()
}
