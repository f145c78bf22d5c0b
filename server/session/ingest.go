package session

import (
	"time"

	"github.com/google/uuid"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/capture"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// eventMembers are the columns of events that an INSERT may fill: where each goes in the
// typed line of an import.
var eventMembers = map[string]struct {
	name     string
	property bool
}{
	"uuid": {"uuid", false}, "event": {"event", false}, "timestamp": {"timestamp", false}, "distinct_id": {"distinct_id", false},
	"properties": {"properties", false}, "session_id": {"$session_id", true}, "window_id": {"$window_id", true},
	"group_0": {"$group_0", true}, "group_1": {"$group_1", true}, "group_2": {"$group_2", true}, "group_3": {"$group_3", true},
	"group_4": {"$group_4", true}, "elements_chain": {"$elements_chain", true},
}

// ingest is the events of an INSERT on their way to the door that the import route uses.
type ingest struct {
	rows  *capture.TypedLines
	now   int64 // of the transaction, µs
	count int
	line  []byte
}

// add takes rows in the columns of the events table.
func (in *ingest) add(schema vec.Schema, b *vec.Batch) error {
	for row := range b.Rows {
		if err := in.event(schema, b, row); err != nil {
			return err
		}
	}
	in.count += b.Rows
	if int64(in.rows.Bytes()) > maxWriteBytes {
		return tooMuch("an INSERT of events")
	}
	return nil
}

// event writes a row as a typed line.
func (in *ingest) event(schema vec.Schema, b *vec.Batch, row int) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	at := in.now
	line := append(in.line[:0], '{')
	member := func(name string, text []byte) {
		if last := line[len(line)-1]; last != '{' {
			line = append(line, ',')
		}
		line = event.AppendJSONString(line, []byte(name))
		line = append(line, ':')
		line = event.AppendJSONString(line, text)
	}
	properties := []byte("{}")
	for i, f := range schema {
		v, k := b.Cols[i].At(row)
		if b.Cols[i].IsNull(row) {
			continue
		}
		switch f.Name {
		case "uuid":
			id = v.UUIDs[k]
		case "timestamp":
			at = v.I64[k]
		case "properties":
			properties = v.Str.At(k)
		case "event", "distinct_id":
			member(f.Name, v.Str.At(k))
		}
	}
	if at == vec.InfinityTime || at == vec.NegInfinityTime {
		return pgerr.New(pgerr.DatetimeOverflow, "an event must have a time that is finite")
	}
	if properties[0] != '{' {
		return pgerr.New(pgerr.InvalidParameterValue, "properties of an event must be an object")
	}
	member("uuid", []byte(id.String()))
	member("timestamp", time.UnixMicro(at).UTC().AppendFormat(nil, "2006-01-02T15:04:05.999999Z07:00"))
	line = append(line, `,"properties":{`...)
	for i, f := range schema {
		if m := eventMembers[f.Name]; m.property && !b.Cols[i].IsNull(row) {
			v, k := b.Cols[i].At(row)
			member(m.name, v.Str.At(k))
		}
	}
	if rest := properties[1 : len(properties)-1]; len(rest) > 0 {
		if line[len(line)-1] != '{' {
			line = append(line, ',')
		}
		line = append(line, rest...)
	}
	in.line = append(line, '}', '}')
	if err := in.rows.Add(in.line); err != nil {
		return pgerr.New(pgerr.InvalidParameterValue, "event: %s", err)
	}
	return nil
}
