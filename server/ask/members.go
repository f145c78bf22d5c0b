package ask

import (
	"context"
	"time"

	"github.com/prickledb/prickle/sql/insight"
	"github.com/prickledb/prickle/storage/vec"
)

// CountMembers is how many persons a cohort has as of the session's instant.
func (a *Asker) CountMembers(ctx context.Context, k *insight.Cohort) (int64, error) {
	return insight.CountMembers(ctx, k, a.now(), a.Project(), a)
}

// Members is the persons of a cohort as of the session's instant.
func (a *Asker) Members(ctx context.Context, k *insight.Cohort) ([]vec.UUIDValue, error) {
	return insight.Members(ctx, k, a.now(), a.Project(), a)
}

func (a *Asker) now() time.Time { return time.UnixMicro(a.sess.Context().Now).UTC() }
