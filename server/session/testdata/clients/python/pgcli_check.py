"""What pgcli asks for its completion, through its own classes, and one run of the program."""
import os
import subprocess
import sys

from pgcli.pgexecute import PGExecute
from pgspecial.main import PGSpecial

e = os.environ
x = PGExecute(e["PGDATABASE"], e["PGUSER"], e["PGPASSWORD"], e["PGHOST"], e["PGPORT"], "")
list(x.run("CREATE TABLE cli (id int PRIMARY KEY, name text DEFAULT 'x')"))
assert "public" in x.search_path() and "public" in x.schemata(), x.search_path()
assert ("public", "cli") in list(x.tables())
columns = [c for c in x.table_columns() if c[1] == "cli"]
assert [(c[2], c[3], c[4]) for c in columns] == [("id", "integer", False), ("name", "text", True)], columns
list(x.views())
list(x.view_columns())
list(x.foreignkeys())
assert any(f.func_name == "lower" for f in x.functions())
list(x.datatypes())
assert e["PGDATABASE"] in x.databases() and e["PGDATABASE"] in [row[0] for row in x.full_databases()[0]]
special_commands = PGSpecial()
for command in ["\\d", "\\d cli", "\\dt", "\\dn", "\\du", "\\l", "\\df lower", "\\di", "\\dT", "\\x"]:
    for title, rows, headers, status, sql, success, special in x.run(command, pgspecial=special_commands):
        assert success is not False, (command, status)
out = subprocess.run([sys.executable, "-m", "pgcli", "--list"], capture_output=True, text=True, timeout=30)
assert "template1" in out.stdout, out
list(x.run("DROP TABLE cli"))
