package insight

import (
	"context"
	"time"

	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// CountMembers is how many persons a cohort has at an instant. The cohort need not be saved
// yet. Errors that are *Refused are the cohort's.
func CountMembers(ctx context.Context, k *Cohort, now time.Time, p Project, run Runner) (int64, error) {
	rows, err := members(ctx, k, now, p, run, countAll())
	if err != nil || rows.N == 0 {
		return 0, err
	}
	return rows.Int(0, 0), nil
}

// Members is the persons of a cohort at an instant.
func Members(ctx context.Context, k *Cohort, now time.Time, p Project, run Runner) ([]vec.UUIDValue, error) {
	rows, err := members(ctx, k, now, p, run, column("id"))
	if err != nil {
		return nil, err
	}
	out := make([]vec.UUIDValue, rows.N)
	for i := range out {
		v, at := rows.at(i, 0)
		out[i] = v.UUIDs[at]
	}
	return out, nil
}

// members runs what is asked of the persons with a profile that are in a cohort.
func members(ctx context.Context, k *Cohort, now time.Time, p Project, run Runner, what ast.Expr) (*Rows, error) {
	c := newCompiler(ctx, p, run, now)
	c.cohorts = []int64{k.ID}
	set, err := c.cohortSet(k)
	if err != nil {
		return nil, err
	}
	return run.Run(ctx, &ast.Select{Items: []ast.SelectItem{item(what, "")}, From: []ast.TableExpr{table("persons")}, Where: inCohort(column("id"), set)})
}
