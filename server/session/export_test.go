package session

// LimitCursors sets how many bytes of rows cursors may keep.
func (s *Session) LimitCursors(bytes int64) { s.cursorLimit = bytes }
