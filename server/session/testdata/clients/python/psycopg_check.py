"""psycopg 3: binary values, pipelines, statements that it prepares."""
import datetime
import decimal
import uuid

import psycopg

with psycopg.connect(autocommit=True) as c:
    assert c.info.server_version == 150000 and c.pgconn.ssl_in_use
    for value in [7, -(2**40), 2**62, 0.1, decimal.Decimal("-0.00012300"), decimal.Decimal("12345678901234567890.5"), decimal.Decimal("NaN"), True, "grün", b"\x00\xff",
                  datetime.date(1999, 12, 31), datetime.time(23, 59, 59, 999999), datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
                  datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), datetime.timedelta(days=-3, microseconds=7), uuid.UUID(int=9),
                  [1, None, 3], ["a", "b,c", '"']]:
        for form in ("%t", "%b"):
            for binary in (False, True):
                with c.cursor(binary=binary) as cur:
                    got = cur.execute("SELECT " + form + ("::text[]" if "a" in str(value) and isinstance(value, list) else ""), (value,)).fetchone()[0]
                    same = got == value or got != got and value != value
                    assert same and type(got) is type(value), (form, binary, value, got)
    with c.cursor(binary=True) as cur:
        assert cur.execute("SELECT %s::jsonb", (psycopg.types.json.Jsonb({"a": None}),)).fetchone()[0] == {"a": None}

    c.execute("CREATE TABLE p3 (id int NOT NULL, name text)")
    # After five executions psycopg prepares the statement.
    for i in range(10):
        c.execute("INSERT INTO p3 VALUES (%s, %s)", (i, "n%d" % i))
    with c.cursor() as cur:
        cur.executemany("INSERT INTO p3 VALUES (%s, %s) RETURNING id", [(i, None) for i in range(10, 100)], returning=True)
    assert c.execute("SELECT count(*) FROM p3").fetchone() == (100,)

    # A pipeline: all goes out before anything is read; an error drops what follows up to the sync.
    with c.pipeline() as p:
        cursors = [c.execute("SELECT %s::int", (i,)) for i in range(50)]
        p.sync()
        assert [x.fetchone()[0] for x in cursors] == list(range(50))
    try:
        with c.pipeline() as p:
            c.execute("INSERT INTO p3 VALUES (1000, 'x')")
            c.execute("SELECT nothing FROM p3")
            c.execute("INSERT INTO p3 VALUES (1001, 'x')")
        raise AssertionError("no error")
    except psycopg.errors.UndefinedColumn:
        pass
    assert c.execute("SELECT count(*) FROM p3 WHERE id >= 1000").fetchone() == (0,)

    # Rows in bulk, as text and in binary.
    for form in ("TEXT", "BINARY"):
        with c.cursor() as cur:
            with cur.copy("COPY p3 FROM STDIN (FORMAT %s)" % form) as copy:
                copy.set_types(["int4", "text"])
                for i in range(2000, 2100):
                    copy.write_row((i, None if i % 2 else "é"))
            with cur.copy("COPY (SELECT id, name FROM p3 WHERE id >= 2000 ORDER BY id) TO STDOUT (FORMAT %s)" % form) as copy:
                copy.set_types(["int4", "text"])
                rows = list(copy.rows())
            assert len(rows) == 100 and rows[:2] == [(2000, "é"), (2001, None)], rows[:2]
            cur.execute("DELETE FROM p3 WHERE id >= 2000")

    # Row by row.
    with c.cursor() as cur:
        assert sum(r[0] for r in cur.stream("SELECT g FROM generate_series(1, 1000) g")) == 500500

    with c.transaction():
        c.execute("DELETE FROM p3 WHERE id < 50")
        try:
            with c.transaction():
                c.execute("DELETE FROM p3")
                c.execute("SELECT 1/0")
        except psycopg.errors.DivisionByZero:
            pass
    assert c.execute("SELECT count(*) FROM p3").fetchone() == (50,)
    notices = []
    c.add_notice_handler(lambda d: notices.append((d.severity, d.message_primary)))
    c.execute("DROP TABLE IF EXISTS nothing")
    assert notices and notices[0][0] == "NOTICE", notices
    c.execute("DROP TABLE p3")
