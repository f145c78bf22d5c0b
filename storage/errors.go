package storage

import "errors"

var (
	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("storage: closed")
	// ErrNoProject is returned for a project that does not exist, or not any more.
	ErrNoProject = errors.New("no such project")
)
