"""psycopg2 against a server that PGHOST and its like name. An assertion that fails ends it."""
import datetime
import decimal
import io
import select
import threading
import time
import uuid

import psycopg2
import psycopg2.errors
import psycopg2.extras

psycopg2.extras.register_uuid()
c = psycopg2.connect(sslmode="verify-full")
assert c.info.ssl_in_use and c.server_version == 150000, c.server_version
cur = c.cursor()

# Every type there and back.
values = [
    ("int2", 7), ("int4", -2147483647), ("int8", 9223372036854775807), ("float8", 0.1), ("numeric", decimal.Decimal("123.4500")),
    ("bool", True), ("text", "it's \\ grün"), ("varchar", "v"), ("date", datetime.date(2026, 2, 28)), ("time", datetime.time(12, 30, 1, 5)),
    ("timestamp", datetime.datetime(2026, 1, 2, 3, 4, 5, 6)), ("interval", datetime.timedelta(days=3, seconds=4)),
    ("uuid", uuid.UUID(int=5)), ("int4[]", [1, None, 3]), ("text[]", ["a", "b,c", '"']),
]
for name, value in values:
    cur.execute("SELECT %s::" + name, (value,))
    got = cur.fetchone()[0]
    assert got == value, (name, got, value)
cur.execute("SELECT %s::timestamptz", (datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),))
assert cur.fetchone()[0] == datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
cur.execute("SELECT %s::jsonb, %s::bytea", (psycopg2.extras.Json({"a": [1]}), psycopg2.Binary(b"\x00\xff")))
j, raw = cur.fetchone()
assert j == {"a": [1]} and bytes(raw) == b"\x00\xff"
cur.execute("SELECT NULL, 1 AS one")
assert cur.fetchone() == (None, 1) and [d.name for d in cur.description] == ["?column?", "one"]

# Transactions: what is rolled back is not there, an error aborts, savepoints undo.
cur.execute("CREATE TABLE ps (id int NOT NULL, name text)")
c.commit()
cur.execute("INSERT INTO ps VALUES (1, 'a'), (2, 'b')")
assert cur.rowcount == 2
c.rollback()
cur.execute("SELECT count(*) FROM ps")
assert cur.fetchone() == (0,)
psycopg2.extras.execute_values(cur, "INSERT INTO ps (id, name) VALUES %s", [(i, "n%d" % i) for i in range(500)])
cur.execute("SAVEPOINT s")
try:
    cur.execute("SELECT nothing FROM ps")
    raise AssertionError("no error")
except psycopg2.errors.UndefinedColumn as e:
    assert e.pgcode == "42703" and e.diag.severity == "ERROR" and e.diag.statement_position == "8", e
try:
    cur.execute("SELECT 1")
    raise AssertionError("no error")
except psycopg2.errors.InFailedSqlTransaction:
    pass
cur.execute("ROLLBACK TO s")
cur.execute("UPDATE ps SET name = NULL WHERE id < 10")
assert cur.rowcount == 10
cur.execute("DELETE FROM ps WHERE id >= 400 RETURNING id")
assert len(cur.fetchall()) == 100
c.commit()
try:
    cur.execute("INSERT INTO ps VALUES (NULL)")
    raise AssertionError("no error")
except psycopg2.errors.NotNullViolation as e:
    assert e.diag.column_name == "id" and e.diag.table_name == "ps", (e.diag.column_name, e.diag.table_name)
c.rollback()

# Rows in and out in bulk.
cur.copy_expert("COPY ps FROM STDIN WITH (FORMAT csv)", io.StringIO('1000,"a, b"\n1001,\n'))
out = io.StringIO()
cur.copy_expert("COPY (SELECT * FROM ps WHERE id >= 1000 ORDER BY id) TO STDOUT", out)
assert out.getvalue() == "1000\ta, b\n1001\t\\N\n", out.getvalue()
try:
    cur.copy_expert("COPY ps FROM STDIN", io.StringIO("x\ty\n"))
    raise AssertionError("no error")
except psycopg2.errors.InvalidTextRepresentation as e:
    assert "line 1" in e.diag.context, e.diag.context
c.rollback()

# Modes, settings and what is reported of them.
c.set_session(isolation_level="REPEATABLE READ", readonly=True)
try:
    cur.execute("INSERT INTO ps VALUES (1)")
    raise AssertionError("no error")
except psycopg2.errors.ReadOnlySqlTransaction:
    c.rollback()
c.set_session(isolation_level="DEFAULT", readonly=False, autocommit=True)
cur.execute("SET TIME ZONE 'Europe/Berlin'")
assert c.get_parameter_status("TimeZone") == "Europe/Berlin"
cur.execute("CREATE TABLE IF NOT EXISTS ps (id int)")
assert any("already exists" in n for n in c.notices), c.notices
c.reset()

# Cancel, from another thread.
timer = threading.Timer(0.2, c.cancel)
timer.start()
began = time.time()
try:
    cur.execute("SELECT pg_sleep(20)")
    raise AssertionError("no error")
except psycopg2.errors.QueryCanceled:
    assert time.time() - began < 5
c.rollback()

# The asynchronous way.
a = psycopg2.connect(sslmode="disable", async_=True)


def wait(conn):
    while True:
        state = conn.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        select.select([conn] if state == psycopg2.extensions.POLL_READ else [], [conn] if state == psycopg2.extensions.POLL_WRITE else [], [], 5)


wait(a)
ac = a.cursor()
ac.execute("SELECT g FROM generate_series(1, 1000) g")
wait(a)
assert len(ac.fetchall()) == 1000
a.close()

# What is refused, and how.
try:
    psycopg2.connect(password="wrong")
    raise AssertionError("no error")
except psycopg2.OperationalError as e:
    assert 'password authentication failed for user "app"' in str(e), e
try:
    psycopg2.connect(sslmode="disable", dbname="nowhere")
    raise AssertionError("no error")
except psycopg2.OperationalError as e:
    assert 'database "nowhere" does not exist' in str(e), e
cur.execute("DROP TABLE ps")
c.commit()
c.close()
