package server

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/api"
	"github.com/prickledb/prickle/storage/event"
)

const (
	// maxFrame bounds one batch of a stream; `prickle import` sends batches of a MB.
	maxFrame = 32 << 20
	// maxPending is how many batches of one stream may be under way.
	maxPending = 128
)

// streamBatches answers POST /api/projects/{id}/batches/, which takes decoded batches: of
// `prickle import`, which reads files by itself. The body is frames, each the size of a
// batch's wire form (4 bytes, little endian) and the wire form. The answer has a line of
// JSON for every frame, sent as soon as the batch is durable. Batches apply in the order
// they come in, and several are under way at once.
func (s *Server) streamBatches(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 32)
	found := false
	for _, p := range s.backend.Projects() {
		found = found || uint64(p.ID) == id
	}
	if err != nil || !found {
		api.WriteError(w, &api.Error{Status: http.StatusNotFound, Type: "invalid_request", Code: "not_found",
			Detail: fmt.Sprintf("there is no project %q", r.PathValue("id"))})
		return
	}
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil {
		api.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	// A stream may end before its body does. net/http reads the rest of it then, and where both
	// directions were open, it panics if it goes on to another request after that.
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusOK)
	_ = control.Flush() // the answers tell

	pending := make(chan *cluster.Pending, maxPending)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		out := json.NewEncoder(w)
		for p := range pending {
			receipt, err := p.Wait(r.Context())
			line := map[string]any{"index": receipt.Index, "stored": receipt.Stored, "duplicates": receipt.Duplicates,
				"token": cluster.Token{Index: receipt.Index}.String()}
			if receipt.Duplicates > 0 {
				s.metrics.duplicates.Add(int64(receipt.Duplicates), uint32(id), "")
			}
			if err != nil {
				line = map[string]any{"error": api.FromError(err)}
			}
			_ = out.Encode(line) // the request's context says when the client is gone
			if len(pending) == 0 || err != nil {
				_ = control.Flush() // as above
			}
		}
	}()
	err = s.takeFrames(r, uint32(id), pending)
	close(pending)
	<-answered
	if err != nil && r.Context().Err() == nil {
		_ = json.NewEncoder(w).Encode(map[string]any{"error": api.FromError(err)}) // as above
	}
}

// takeFrames reads frames until the body ends.
func (s *Server) takeFrames(r *http.Request, project uint32, pending chan<- *cluster.Pending) error {
	in := bufio.NewReaderSize(r.Body, 1<<20)
	for {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		n := binary.LittleEndian.Uint32(size[:])
		if n > maxFrame {
			return pgerr.New(pgerr.ProtocolViolation, "a batch of %d MB; the limit is %d MB", n>>20, maxFrame>>20)
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(in, frame); err != nil {
			return err
		}
		b, err := event.Decode(frame)
		if err != nil {
			return pgerr.New(pgerr.ProtocolViolation, "batch: %v", err)
		}
		b.CreatedAt = time.Now().UnixMicro()
		rows := b.Rows
		if err := s.allow(project, rows); err != nil {
			s.ingested(project, "limited", rows, int64(n))
			return err
		}
		s.limitProperties(project, b)
		p, err := s.node.Start(r.Context(), project, b)
		if err != nil {
			s.ingested(project, "failed", rows, int64(n))
			return err
		}
		s.ingested(project, "ok", rows, int64(n))
		select {
		case pending <- p:
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}
