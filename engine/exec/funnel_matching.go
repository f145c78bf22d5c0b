package exec

import "slices"

// matching gives steps different rows: augmenting paths, as in Kuhn's algorithm. Steps that
// have a row keep one, perhaps another, as long as they are not taken back.
type matching struct {
	rows  []funnelRow
	taken int   // position of a row that is no longer free; may lie outside
	steps []int // in the order in which they came
	rowOf []int // by position in steps
	// when restricts the row of each step to a time, while rows are chosen.
	when []int64
	seen []bool
}

func (m *matching) reset(rows []funnelRow, taken int) {
	m.rows, m.taken = rows, taken
	m.truncate(0)
	m.when = m.when[:0]
}

// truncate takes back all steps but the first n.
func (m *matching) truncate(n int) { m.steps, m.rowOf = m.steps[:n], m.rowOf[:n] }

// extend gives a row to one step more, if that is possible.
func (m *matching) extend(step int) bool {
	if len(m.rows) == 1 { // the usual case
		if m.taken == 0 || len(m.steps) > 0 || m.rows[0].steps>>step&1 == 0 {
			return false
		}
		m.steps, m.rowOf = append(m.steps, step), append(m.rowOf, 0)
		return true
	}
	n := len(m.steps)
	if n >= len(m.rows) {
		return false
	}
	m.steps, m.rowOf = append(m.steps, step), append(m.rowOf, -1)
	m.unsee()
	if m.assign(n) {
		return true
	}
	m.truncate(n)
	return false
}

func (m *matching) unsee() {
	m.seen = grow(m.seen, len(m.rows))
	clear(m.seen)
}

// assign finds a row for step i, and others for those that have to give way.
func (m *matching) assign(i int) bool {
	for r := range m.rows {
		if m.seen[r] || !m.fits(i, r) {
			continue
		}
		m.seen[r] = true
		holder := slices.Index(m.rowOf, r)
		if holder < 0 || m.assign(holder) {
			m.rowOf[i] = r
			return true
		}
	}
	return false
}

func (m *matching) fits(i, r int) bool {
	return r != m.taken && m.rows[r].steps>>m.steps[i]&1 != 0 && (i >= len(m.when) || m.when[i] == m.rows[r].time)
}

// settle chooses, of all ways to give the steps rows, the one with the smallest times from
// left to right, and of those the one with the first rows. Rows are in order of time.
func (m *matching) settle() {
	if len(m.rows) == 1 || len(m.steps) == 0 {
		return
	}
	for i := range m.steps {
		now := m.rows[m.rowOf[i]].time
		m.when = append(m.when, now)
		for r := range m.rows {
			t := m.rows[r].time
			if t >= now {
				break
			}
			if r > 0 && m.rows[r-1].time == t {
				continue
			}
			if m.when[i] = t; m.move(i, -1) {
				break
			}
			m.when[i] = now
		}
	}
	for i := range m.steps {
		for r := range m.rowOf[i] {
			if m.fits(i, r) && slices.Index(m.rowOf[:i], r) < 0 && m.move(i, r) {
				break
			}
		}
	}
}

// move gives step i another row that fits, row r if that is not negative, while the steps
// before keep the rows or at least the times they have.
func (m *matching) move(i, r int) bool {
	before := slices.Clone(m.rowOf)
	m.unsee()
	if r < 0 {
		m.rowOf[i] = -1
		if m.assign(i) {
			return true
		}
		copy(m.rowOf, before)
		return false
	}
	for _, fixed := range m.rowOf[:i] {
		m.seen[fixed] = true
	}
	m.seen[r] = true
	holder := slices.Index(m.rowOf, r)
	m.rowOf[i] = r
	if holder < 0 {
		return true
	}
	m.rowOf[holder] = -1
	if m.assign(holder) {
		return true
	}
	copy(m.rowOf, before)
	return false
}
