package exec

import (
	"io"
	"reflect"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/outside"
	"github.com/prickledb/prickle/storage/vec"
)

// What a statement may use, its parts may use.
func TestEnvWithin(t *testing.T) {
	env := &Env{Snapshot: &storage.Snapshot{}, Expr: &expr.Context{}, Threads: 2, Memory: 3, Account: &Account{}, Share: &Share{}, Spill: &SpillDir{},
		SpillAt: 4, GroupsAt: 5, Progress: &Progress{}, Disabled: []string{"top_n"}, Input: func() (io.ReadCloser, error) { return nil, nil }, Write: func(int, *vec.Batch) error { return nil }, Files: &outside.Places{}, Stats: &Stats{}}
	a, b := reflect.ValueOf(env).Elem(), reflect.ValueOf(env.within()).Elem()
	for i := range a.NumField() {
		if f := a.Type().Field(i); f.IsExported() && (a.Field(i).IsZero() || b.Field(i).IsZero()) {
			t.Errorf("%s: %v, and within it %v", f.Name, a.Field(i), b.Field(i))
		}
	}
}
