package bench

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Result is one question, asked several times.
type Result struct {
	Question Question
	Median   time.Duration
	Best     time.Duration
	Rows     int
	// Hash is of the rows as text: equal answers have equal hashes.
	Hash uint64
}

// Measure asks every question warm-up+reps times over the PostgreSQL protocol, in turn (a
// b c … a b c …), so that a busy moment of the machine falls on all of them. It fails if a
// question answers differently from one time to the next.
func Measure(ctx context.Context, dsn string, questions []Question, warmup, reps int) ([]Result, error) {
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx) // nothing is left to say
	out := make([]Result, len(questions))
	times := make([][]time.Duration, len(questions))
	for rep := range warmup + reps {
		for i, q := range questions {
			start := time.Now()
			answer := conn.ExecParams(ctx, q.SQL, nil, nil, nil, nil).Read()
			took := time.Since(start)
			if answer.Err != nil {
				return nil, fmt.Errorf("%s: %w", q.Name, answer.Err)
			}
			h := hashRows(answer.Rows)
			if rep > 0 && h != out[i].Hash {
				return nil, fmt.Errorf("%s: answer %d differs from the first", q.Name, rep+1)
			}
			out[i].Question, out[i].Rows, out[i].Hash = q, len(answer.Rows), h
			if rep >= warmup {
				times[i] = append(times[i], took)
			}
		}
	}
	for i := range out {
		slices.Sort(times[i])
		out[i].Best, out[i].Median = times[i][0], times[i][len(times[i])/2]
	}
	return out, nil
}

func hashRows(rows [][][]byte) uint64 {
	h := fnv.New64a()
	for _, r := range rows {
		for _, v := range r {
			fmt.Fprintf(h, "%d:%s,", len(v), v)
		}
		h.Write([]byte{'\n'})
	}
	return h.Sum64()
}
