package segment

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/properties"
	"github.com/prickledb/prickle/storage/vec"
)

// group is the property columns that one or more ranges share.
type group struct {
	r       *Reader
	entry   *groupEntry
	columns []*column // ascending by key

	mu     sync.Mutex
	byJSON []int // columns in the order of jsonb keys; under mu
}

// column is one property of a group.
type column struct {
	r      *Reader
	rows   int // of the group
	entry  *columnEntry
	leader *column // that it follows, or nil
	*columnParts
}

// columnParts is what is decoded of a column.
type columnParts struct {
	codes   lazy[encoding.Column]
	follows lazy[[]uint32]      // by code of the leader
	number  lazy[encoding.Wide] // plain
	values  lazy[values]
	views   views
}

// values is a column's dictionary as it is kept, by kind.
type values struct {
	nums  [kinds][]int64 // Bool, Int, Float
	texts [kinds]vec.Strings
}

// view is a column's dictionary as values of an SQL type.
type view struct {
	dict  *vec.Vector
	remap []uint32 // position in dict by code; nil if it is the code
}

// views is a dictionary in the readings that were asked for.
type views struct {
	plain [event.Readings]lazy[view]

	mu    sync.Mutex
	zoned map[string]*lazy[view] // ReadTime, by the name of a zone other than UTC
}

// mostZones is how many zones a dictionary is kept in: usually there is one, the project's.
const mostZones = 8

// of is the place of a reading.
func (v *views) of(as event.Reading, zone *time.Location) *lazy[view] {
	if as != event.ReadTime || zone == nil || zone == time.UTC {
		return &v.plain[as]
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.zoned[zone.String()]
	if l == nil {
		if len(v.zoned) == mostZones || v.zoned == nil {
			v.zoned = map[string]*lazy[view]{}
		}
		l = &lazy[view]{}
		v.zoned[zone.String()] = l
	}
	return l
}

func newGroup(r *Reader, i int) *group {
	g := &group{r: r, entry: &r.dir.groups[i]}
	g.columns = make([]*column, len(g.entry.columns))
	spaces, decoded := make([]column, len(g.columns)), make([]columnParts, len(g.columns))
	for j := range g.columns {
		spaces[j] = column{r: r, rows: g.entry.rows, entry: &g.entry.columns[j], columnParts: &decoded[j]}
		g.columns[j] = &spaces[j]
	}
	g.lead()
	return g
}

// lead tells columns whom they follow.
func (g *group) lead() {
	for _, c := range g.columns {
		if l := c.entry.leader; l != noLeader {
			c.leader = g.columns[l]
		}
	}
}

// of is the group for another reader of the segment.
func (g *group) of(r *Reader) *group {
	out := &group{r: r, entry: g.entry, columns: make([]*column, len(g.columns))}
	for j, c := range g.columns {
		out.columns[j] = &column{r: r, rows: c.rows, entry: c.entry, columnParts: c.columnParts}
	}
	out.lead()
	return out
}

func (g *group) find(key string) (int, bool) {
	return slices.BinarySearchFunc(g.columns, key, func(c *column, key string) int {
		return compareStrings(c.entry.key, key)
	})
}

// Read is a property of rows [lo, hi) of the segment, all of which must be of the stretch.
// What cannot be read so is null. Times without an offset are by the clocks of zone; nil is
// UTC.
//
// The vector has a dictionary, which all calls for the property and type share while it
// stays in the reader's cache, unless the property is a number that is hardly ever the
// same twice: then it is flat. A property that no row carries is a constant null. The
// dictionary of Text has no value twice, and is sorted except for $session_id; a null in
// it comes last.
func (s *Stretch) Read(key string, as event.Reading, zone *time.Location, lo, hi int) (*vec.Vector, error) {
	return s.ReadIn(nil, key, as, zone, lo, hi)
}

// ReadIn is Read with a vector made of slices of an arena: it is good until those are taken back.
func (s *Stretch) ReadIn(a *vec.Arena, key string, as event.Reading, zone *time.Location, lo, hi int) (*vec.Vector, error) {
	if lo < s.Lo || hi > s.Hi || lo > hi {
		return nil, fmt.Errorf("property %q of rows %d to %d: the stretch has rows %d to %d", key, lo, hi, s.Lo, s.Hi)
	}
	if key == sessionKey && s.r.HasSessions() {
		return s.session(as, zone, lo, hi)
	}
	i, found := s.group.find(key)
	if !found || !s.carries(i) {
		return vec.NullConst(as.Type()), nil
	}
	return s.group.columns[i].read(a, as, zone, s.at+lo-s.Lo, hi-lo)
}

// RunRoom is memory that ReadRuns uses again.
type RunRoom struct{ codes, ends []uint32 }

// ReadRuns is Read with one row for each stretch of rows that have the same value, and where each
// ends, counted from lo; stretches that follow each other may have the same value. It says false if
// the rows are not kept so. Both are in room where that is large enough.
func (s *Stretch) ReadRuns(room *RunRoom, key string, as event.Reading, zone *time.Location, lo, hi int) (v *vec.Vector, ends []uint32, ok bool, err error) {
	if lo < s.Lo || hi > s.Hi || lo >= hi {
		return nil, nil, false, fmt.Errorf("runs of property %q of rows %d to %d: the stretch has rows %d to %d", key, lo, hi, s.Lo, s.Hi)
	}
	if key == sessionKey && s.r.HasSessions() {
		return nil, nil, false, nil
	}
	i, found := s.group.find(key)
	if !found || !s.carries(i) {
		return vec.NullConst(as.Type()), []uint32{uint32(hi - lo)}, true, nil
	}
	c := s.group.columns[i]
	if c.entry.plain {
		return nil, nil, false, nil
	}
	room.codes, room.ends, ok, err = c.readRuns(room.codes[:0], room.ends[:0], s.at+lo-s.Lo, hi-lo)
	if !ok || err != nil {
		return nil, nil, false, err
	}
	codes := room.codes
	var nulls vec.Bitmap
	if c.entry.nullable {
		nulls = dropAbsent(codes)
	}
	v, err = c.named(codes, nulls, as, zone)
	return v, room.ends, err == nil, err
}

// session is the $session_id of rows, from the sessions table.
func (s *Stretch) session(as event.Reading, zone *time.Location, lo, hi int) (*vec.Vector, error) {
	r := s.r
	sv, err := r.sessionViews.of(as, zone).get(r, func() (*view, error) {
		dict, err := r.sessionDict()
		if err != nil {
			return nil, err
		}
		if as == event.ReadText || as == event.ReadDigits {
			return &view{dict: dict}, nil
		}
		out := event.NewReader(as, zone, dict.Len())
		for i := range dict.Len() {
			out.Text(event.Text, dict.Str.At(i))
		}
		return &view{dict: out.V}, nil
	})
	if err != nil {
		return nil, err
	}
	codes := make([]uint32, hi-lo)
	if err := r.sessionCodes(codes, lo); err != nil {
		return nil, err
	}
	out := &vec.Vector{Type: as.Type(), Form: vec.Dict, Codes: codes, Dict: sv.dict}
	out.Nulls = dropAbsent(codes)
	return out, nil
}

// dropAbsent turns codes where 0 is nothing into positions, and says where nothing is.
func dropAbsent(codes []uint32) vec.Bitmap {
	var nulls vec.Bitmap
	for i, c := range codes {
		if c != 0 {
			codes[i] = c - 1
			continue
		}
		if nulls == nil {
			nulls = vec.NewBitmap(len(codes))
		}
		nulls.Set(i)
	}
	return nulls
}

func (c *column) name(what string) string {
	return fmt.Sprintf("property %q: %s", c.entry.key, what)
}

// packed is the codes as they are stored, of a column that does not follow.
func (c *column) packed() (*encoding.Column, error) {
	return c.codes.get(c.r, func() (*encoding.Column, error) {
		return c.r.openColumn(c.name("codes"), c.entry.codes, c.rows)
	})
}

func (c *column) readCodes(dst []uint32, lo int) error {
	if c.leader != nil {
		of, err := c.following()
		if err != nil {
			return err
		}
		err = c.leader.readCodes(dst, lo)
		if err == nil {
			lead(dst, of)
		}
		return err
	}
	col, err := c.packed()
	if err != nil {
		return err
	}
	if err := c.r.touch(func() error { return col.Read(dst, lo) }); err != nil {
		return c.r.corrupt(c.name("codes"), c.entry.codes, err)
	}
	return c.check(dst)
}

// readRuns adds to codes those of n rows from lo on as runs, and to ends where each ends, counted
// from lo; ok is false if they are not kept so.
func (c *column) readRuns(codes, ends []uint32, lo, n int) (_, _ []uint32, ok bool, err error) {
	if c.leader != nil {
		of, err := c.following()
		if err != nil {
			return codes, ends, false, err
		}
		begin := len(codes)
		if codes, ends, ok, err = c.leader.readRuns(codes, ends, lo, n); ok {
			lead(codes[begin:], of)
		}
		return codes, ends, ok, err
	}
	col, err := c.packed()
	if err != nil {
		return codes, ends, false, err
	}
	begin := len(codes)
	err = c.r.touch(func() (err error) {
		codes, ends, ok, err = col.AppendRuns(codes, ends, lo, lo+n)
		return err
	})
	if err != nil {
		return codes, ends, false, c.r.corrupt(c.name("codes"), c.entry.codes, err)
	}
	return codes, ends, ok, c.check(codes[begin:])
}

// check refuses codes beyond the dictionary: they would be read somewhere else.
func (c *column) check(codes []uint32) error {
	limit := uint32(c.total())
	if c.entry.plain {
		limit = 1
	}
	if c.entry.nullable {
		limit++
	}
	if most := greatest(codes); most >= limit && len(codes) > 0 {
		return c.r.bad(c.name("codes"), c.entry.codes, "code %d, at most %d are possible", most, limit-1)
	}
	return nil
}

// greatest is the greatest code; 0 if there are none. Four at a time do not wait for each other.
func greatest(codes []uint32) uint32 {
	var a, b, c, d uint32
	for len(codes) >= 4 {
		a, b, c, d = max(a, codes[0]), max(b, codes[1]), max(c, codes[2]), max(d, codes[3])
		codes = codes[4:]
	}
	for _, x := range codes {
		a = max(a, x)
	}
	return max(a, b, c, d)
}

// total is how many values the dictionary has.
func (c *column) total() int {
	n := 0
	for _, k := range c.entry.counts {
		n += k
	}
	return n
}

// read is n rows of the group from lo on.
func (c *column) read(a *vec.Arena, as event.Reading, zone *time.Location, lo, n int) (*vec.Vector, error) {
	codes := a.Uint32s(n)
	if err := c.readCodes(codes, lo); err != nil {
		return nil, err
	}
	var nulls vec.Bitmap
	if c.entry.nullable {
		nulls = dropAbsent(codes)
	}
	if c.entry.plain {
		return c.readPlain(a, as, lo, n, nulls)
	}
	return c.named(codes, nulls, as, zone)
}

// named is codes, which it takes, as values of the dictionary.
func (c *column) named(codes []uint32, nulls vec.Bitmap, as event.Reading, zone *time.Location) (*vec.Vector, error) {
	if as == event.ReadDigits && c.entry.counts[event.Float]+c.entry.counts[event.Number] == 0 {
		as = event.ReadText // the same text
	}
	if as == event.ReadCast && c.entry.counts[event.Text]+c.entry.counts[event.Number] == 0 {
		as = event.ReadFloat // the same numbers
	}
	dict, err := c.views.of(as, zone).get(c.r, func() (*view, error) { return c.view(as, zone) })
	if err != nil {
		return nil, err
	}
	if dict.remap != nil {
		for i, code := range codes {
			codes[i] = dict.remap[code]
		}
		for i, w := range nulls {
			if w == 0 {
				continue
			}
			for j := 64 * i; j < min(64*i+64, len(codes)); j++ {
				if nulls.Get(j) {
					codes[j] = 0
				}
			}
		}
	}
	return &vec.Vector{Type: as.Type(), Form: vec.Dict, Nulls: nulls, Codes: codes, Dict: dict.dict}, nil
}

// plainKind is the only kind of a column without a dictionary.
func (c *column) plainKind() event.Kind {
	if c.entry.counts[event.Int] > 0 {
		return event.Int
	}
	return event.Float
}

// numbers reads the numbers of a plain column, as they are packed.
func (c *column) numbers(dst []int64, lo int) error {
	kind := c.plainKind()
	s := c.entry.values[kind]
	err := c.r.touch(func() error {
		w, err := c.number.get(c.r, func() (*encoding.Wide, error) { return encoding.OpenWide(c.r.bytes(s), c.rows) })
		if err != nil {
			return err
		}
		return w.Read(dst, lo)
	})
	if err != nil {
		return c.r.corrupt(c.name("numbers"), s, err)
	}
	return nil
}

func (c *column) readPlain(a *vec.Arena, as event.Reading, lo, n int, nulls vec.Bitmap) (*vec.Vector, error) {
	if as == event.ReadBool || as == event.ReadTime {
		return vec.NullConst(as.Type()), nil // no number is a boolean or an instant
	}
	nums := a.Int64s(n)
	if err := c.numbers(nums, lo); err != nil {
		return nil, err
	}
	out := event.NewReader(as, nil, n)
	isFloat := c.plainKind() == event.Float
	if as == event.ReadFloat || as == event.ReadCast {
		f64 := a.Float64s(n)
		if !isFloat {
			for i, x := range nums {
				f64[i] = float64(x)
			}
		} else {
			for i, x := range nums {
				f64[i] = unpackFloat(x, c.entry.decimals)
			}
		}
		return &vec.Vector{Type: as.Type(), Nulls: nulls, F64: f64}, nil
	}
	for i, x := range nums {
		switch {
		case nulls.Get(i):
			out.V.Str.Append(nil)
		case isFloat:
			out.Float(unpackFloat(x, c.entry.decimals))
		default:
			out.Int(x)
		}
	}
	out.V.Nulls = nulls
	return out.V, nil
}

// load reads the dictionary.
func (c *column) load() (*values, error) { return c.values.get(c.r, c.decode) }

func (c *column) decode() (*values, error) {
	out := &values{}
	for k := range event.JSON + 1 {
		n, s := c.entry.counts[k], c.entry.values[k]
		if n == 0 || k == event.Null {
			continue
		}
		err := c.r.touch(func() (err error) {
			if k >= event.Number {
				out.texts[k], err = openStrings(c.r.bytes(s), n)
				return err
			}
			w, err := encoding.OpenWide(c.r.bytes(s), n)
			if err != nil {
				return err
			}
			out.nums[k] = make([]int64, n)
			return w.Read(out.nums[k], 0)
		})
		if err != nil {
			return nil, c.r.corrupt(c.name("dictionary"), s, err)
		}
	}
	if n := c.entry.counts[event.Null]; n > 1 || c.entry.counts[event.Bool] > 2 {
		return nil, c.r.bad(c.name("dictionary"), c.entry.codes, "%d nulls and %d booleans", n, c.entry.counts[event.Bool])
	}
	return out, nil
}

// view converts the dictionary, a value once.
func (c *column) view(as event.Reading, zone *time.Location) (*view, error) {
	text := as == event.ReadText || as == event.ReadDigits
	if text && c.entry.counts[event.Text] == c.total() {
		// The values are the view: they are not kept a second time.
		vals, err := c.decode()
		if err != nil {
			return nil, err
		}
		return &view{dict: &vec.Vector{Type: as.Type(), Str: vals.texts[event.Text]}}, nil
	}
	vals, err := c.load()
	if err != nil {
		return nil, err
	}
	out := event.NewReader(as, zone, c.total())
	for k := range event.JSON + 1 {
		switch k {
		case event.Null:
			for range c.entry.counts[k] {
				out.Text(k, nil)
			}
		case event.Bool:
			for _, x := range vals.nums[k] {
				out.Bool(x != 0)
			}
		case event.Int:
			for _, x := range vals.nums[k] {
				out.Int(x)
			}
		case event.Float:
			for _, x := range vals.nums[k] {
				out.Float(unpackFloat(x, c.entry.decimals))
			}
		default:
			values := &vals.texts[k]
			for i := range values.Len() {
				out.Text(k, values.At(i))
			}
		}
	}
	if text {
		return sortedView(out.V), nil
	}
	return &view{dict: out.V}, nil
}

// sortedView sorts a dictionary of texts, with what is null last, and makes values
// that occur twice one: 5 and "5" are the same text.
func sortedView(v *vec.Vector) *view {
	n := v.Str.Len()
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		if x, y := v.Nulls.Get(int(a)), v.Nulls.Get(int(b)); x != y {
			if x {
				return 1
			}
			return -1
		}
		return bytes.Compare(v.Str.At(int(a)), v.Str.At(int(b)))
	})
	out := &vec.Vector{Type: v.Type, Str: vec.MakeStrings(n, len(v.Str.Bytes))}
	remap := make([]uint32, n)
	for i, at := range order {
		null := v.Nulls.Get(int(at))
		text := v.Str.At(int(at))
		if last := out.Str.Len() - 1; i == 0 || null || !bytes.Equal(out.Str.At(last), text) {
			out.Str.Append(text)
		}
		remap[at] = uint32(out.Str.Len() - 1)
		if null {
			out.Nulls = out.Nulls.Grow(out.Str.Len())
			out.Nulls.Set(out.Str.Len() - 1)
		}
	}
	return &view{dict: out, remap: remap}
}

// jsonOrder is the columns with shorter keys first, as jsonb keeps them. The position of
// $session_id among them is that of its key, so it is found by the caller.
func (g *group) jsonOrder() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byJSON == nil {
		g.byJSON = make([]int, len(g.columns))
		for i := range g.byJSON {
			g.byJSON[i] = i
		}
		slices.SortFunc(g.byJSON, func(a, b int) int {
			return compareJSONKeys(g.columns[a].entry.key, g.columns[b].entry.key)
		})
	}
	return g.byJSON
}

func compareJSONKeys(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return compareStrings(a, b)
}

// Properties is all properties of rows [lo, hi), which must be of the stretch, as the text
// of a jsonb object: shorter keys first.
func (s *Stretch) Properties(lo, hi int) (*vec.Vector, error) {
	if lo < s.Lo || hi > s.Hi || lo > hi {
		return nil, fmt.Errorf("properties of rows %d to %d: the stretch has rows %d to %d", lo, hi, s.Lo, s.Hi)
	}
	type member struct {
		key    []byte // quoted, with what follows it
		nulls  vec.Bitmap
		codes  []uint32 // nil for a flat vector
		values *vec.Strings
	}
	var members []member
	add := func(key string) error {
		v, err := s.Read(key, event.ReadJSON, nil, lo, hi)
		if err != nil {
			return err
		}
		m := member{key: append(event.AppendJSONString(nil, []byte(key)), ": "...), nulls: v.Nulls}
		switch v.Form {
		case vec.Const: // null
			return nil
		case vec.Dict:
			m.codes, m.values = v.Codes, &v.Dict.Str
		default:
			m.values = &v.Str
		}
		members = append(members, m)
		return nil
	}
	session := s.r.HasSessions()
	for _, i := range s.group.jsonOrder() {
		key := s.group.columns[i].entry.key
		if session && compareJSONKeys(sessionKey, key) < 0 {
			session = false
			if err := add(sessionKey); err != nil {
				return nil, err
			}
		}
		if !s.carries(i) {
			continue
		}
		if err := add(key); err != nil {
			return nil, err
		}
	}
	if session {
		if err := add(sessionKey); err != nil {
			return nil, err
		}
	}
	out := &vec.Vector{Type: vec.T(vec.JSONB), Str: vec.MakeStrings(hi-lo, 256*(hi-lo))}
	text := &out.Str
	for row := range hi - lo {
		text.Bytes = append(text.Bytes, '{')
		first := true
		for i := range members {
			m := &members[i]
			if m.nulls.Get(row) {
				continue
			}
			if !first {
				text.Bytes = append(text.Bytes, ", "...)
			}
			first = false
			text.Bytes = append(text.Bytes, m.key...)
			at := row
			if m.codes != nil {
				at = int(m.codes[row])
			}
			text.Bytes = append(text.Bytes, m.values.At(at)...)
		}
		text.Bytes = append(text.Bytes, '}')
		if len(text.Bytes) > maxText {
			return nil, fmt.Errorf("properties of rows %d to %d take more than %d bytes: ask for fewer rows", lo, hi, maxText)
		}
		text.Offs = append(text.Offs, uint32(len(text.Bytes)))
	}
	return out, nil
}

// PropertyKinds is the kinds of values that a property has in the segment, as the directory
// says: nothing is read.
func (r *Reader) PropertyKinds(key string) (out properties.Kinds) {
	if key == sessionKey && r.HasSessions() {
		return properties.Text
	}
	for i := range r.dir.groups {
		columns := r.dir.groups[i].columns
		at, found := slices.BinarySearchFunc(columns, key, func(c columnEntry, key string) int { return compareStrings(c.key, key) })
		if !found {
			continue
		}
		for k, n := range columns[at].counts {
			if n > 0 {
				out |= properties.OfEvent(event.Kind(k))
			}
		}
	}
	return out
}
