package server

import (
	"context"
	"time"

	"github.com/prickledb/prickle/server/ask"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage"
)

// cohortsEvery is how often it is looked whether a cohort is to be refreshed.
const cohortsEvery = time.Minute

// watchCohorts refreshes cohorts that say how often they want to be.
func (s *Server) watchCohorts(ctx context.Context) {
	tick := time.NewTicker(cohortsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if s.handler.Load() != nil && s.node != nil && s.node.Leads() {
				s.refreshCohorts(ctx, now)
			}
		}
	}
}

// refreshCohorts refreshes the cohorts that are due. What fails is tried again the next time.
func (s *Server) refreshCohorts(ctx context.Context, now time.Time) {
	for _, p := range s.backend.Projects() {
		zone, err := time.LoadLocation(p.Timezone)
		if err != nil {
			zone = time.UTC
		}
		for _, name := range ask.DueCohorts(s.node.Store().Objects(p.ID), zone, now) {
			if ctx.Err() != nil {
				return
			}
			if err := s.refreshCohort(ctx, p, name); err != nil {
				s.config.Logger.Warn("a cohort cannot be refreshed", "project", p.ID, "cohort", name, "error", err)
			}
		}
	}
}

func (s *Server) refreshCohort(ctx context.Context, p storage.Project, name string) error {
	sess, err := s.open(ctx, opening{project: p, user: "prickle"})
	if err != nil {
		return err
	}
	defer sess.Close()
	stmt := &ast.RefreshCohort{Name: ast.Ident{Name: name, Quoted: true}}
	portal := sess.Open(stmt, ast.Format(stmt))
	defer portal.Close()
	return portal.Run(func() error { return nil })
}
