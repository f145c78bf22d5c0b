package pgwire

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// BenchmarkRows is 20,000 bigints from the engine to a client, which reads and drops them.
func BenchmarkRows(b *testing.B) {
	s := serve(b)
	for name, mode := range map[string]pgx.QueryExecMode{"text": pgx.QueryExecModeSimpleProtocol, "binary": pgx.QueryExecModeCacheStatement} {
		b.Run(name, func(b *testing.B) {
			c, err := pgx.Connect(b.Context(), "postgres://app@"+s.addr+"/prickle")
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close(b.Context())
			for b.Loop() {
				if _, err := c.Exec(b.Context(), "select n from numbers", mode); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*20_000/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

// BenchmarkOne is the smallest statement there is: what the protocol costs by itself.
func BenchmarkOne(b *testing.B) {
	s := serve(b)
	c, err := pgx.Connect(b.Context(), "postgres://app@"+s.addr+"/prickle")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(b.Context())
	for b.Loop() {
		if _, err := c.Exec(b.Context(), "select n from one"); err != nil {
			b.Fatal(err)
		}
	}
}
