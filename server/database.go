package server

import (
	"context"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/pgcatalog"
)

// databases are the projects as sessions make and end them.
type databases struct{ *Server }

// Find implements session.Databases.
func (d databases) Find(name string) (project uint32, guarded, ok bool) {
	p, ok := d.backend.ProjectByDatabase(name)
	return p.ID, ok && d.config.Roles.Any(p), ok
}

// List implements session.Databases.
func (d databases) List() []pgcatalog.Database {
	var out []pgcatalog.Database
	for _, p := range d.backend.Projects() {
		out = append(out, pgcatalog.Database{Project: p.ID, Name: p.Database})
	}
	return out
}

// Create implements session.Databases.
func (d databases) Create(ctx context.Context, name string) (project uint32, database string, err error) {
	p, err := d.backend.CreateProject(ctx, cluster.ProjectSpec{Name: name, WeekStart: 1})
	return p.ID, p.Database, err
}

// Drop implements session.Databases.
func (d databases) Drop(ctx context.Context, project uint32) error {
	return d.deleteProject(ctx, project)
}

// deleteProject ends a project.
func (s *Server) deleteProject(ctx context.Context, id uint32) error {
	err := s.backend.DeleteProject(ctx, id)
	if err == nil {
		s.cuts.Forget(id)
		s.limits.Forget(id)
	}
	return err
}
