// Command libpq uses lib/pq against the server of PGHOST and its like.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"reflect"
	"time"

	"github.com/lib/pq"
)

func must(err error) {
	if err != nil {
		log.Output(2, err.Error())
		panic(err)
	}
}

func is(got, want any) {
	if !reflect.DeepEqual(got, want) {
		panic(fmt.Sprintf("got %v, want %v", got, want))
	}
}

func code(err error) string {
	var e *pq.Error
	if errors.As(err, &e) {
		return string(e.Code)
	}
	return fmt.Sprint(err)
}

func main() {
	for _, options := range []string{"sslmode=verify-ca", "sslmode=disable binary_parameters=yes"} {
		db, err := sql.Open("postgres", options)
		must(err)
		must(db.Ping())
		_, err = db.Exec("CREATE TABLE lp (id bigint, name text, at timestamptz, tags text[], raw bytea, f float8)")
		must(err)
		at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
		r, err := db.Exec("INSERT INTO lp VALUES ($1, $2, $3, $4, $5, $6)", 1, "it's", at, pq.Array([]string{"a", "b,"}), []byte{0, 255}, 0.1)
		must(err)
		n, err := r.RowsAffected()
		must(err)
		is(n, int64(1))
		var id int64
		var name string
		var when time.Time
		var tags []string
		var raw []byte
		var f float64
		must(db.QueryRow("SELECT id, name, at, tags, raw, f FROM lp WHERE id = $1", 1).Scan(&id, &name, &when, pq.Array(&tags), &raw, &f))
		is([]any{id, name, when.Equal(at), tags, raw, f}, []any{int64(1), "it's", true, []string{"a", "b,"}, []byte{0, 255}, 0.1})

		st, err := db.Prepare("SELECT g FROM generate_series(1, $1::int) g")
		must(err)
		for i := range 3 {
			rows, err := st.Query(i)
			must(err)
			count := 0
			for rows.Next() {
				count++
			}
			must(rows.Err())
			is(count, i)
		}
		must(st.Close())

		tx, err := db.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		must(err)
		_, err = tx.Exec("DELETE FROM lp")
		is(code(err), "25006")
		must(tx.Rollback())
		tx, err = db.Begin()
		must(err)
		_, err = tx.Exec("DELETE FROM lp")
		must(err)
		must(tx.Rollback())
		must(db.QueryRow("SELECT count(*) FROM lp").Scan(&id))
		is(id, int64(1))

		tx, err = db.Begin()
		must(err)
		in, err := tx.Prepare(pq.CopyIn("lp", "id", "name"))
		must(err)
		for i := range 10 {
			_, err = in.Exec(i+100, fmt.Sprint("n", i))
			must(err)
		}
		_, err = in.Exec()
		must(err)
		must(in.Close())
		must(tx.Commit())
		must(db.QueryRow("SELECT count(*) FROM lp WHERE id >= 100").Scan(&id))
		is(id, int64(10))

		_, err = db.Exec("SELECT nothing FROM lp")
		is(code(err), "42703")
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		began := time.Now()
		_, err = db.ExecContext(ctx, "SELECT pg_sleep(20)")
		cancel()
		if err == nil || time.Since(began) > 5*time.Second {
			panic(fmt.Sprint("cancel: ", err, time.Since(began)))
		}
		_, err = db.Exec("DROP TABLE lp")
		must(err)
		must(db.Close())
	}
	db, err := sql.Open("postgres", "sslmode=disable password=wrong")
	must(err)
	is(code(db.Ping()), "28P01")
	fmt.Println("ok")
}
