"""psql on a terminal: what it offers after TAB, and Ctrl-C during a statement."""
import os
import pty
import re
import select
import sys
import time

pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.environ["PAGER"] = "cat"
    os.environ["INPUTRC"] = "/dev/null"
    os.execvp("psql", ["psql", "-X", "-P", "pager=off"])


def until(pattern, limit=10):
    seen = ""
    end = time.time() + limit
    while not re.search(pattern, seen):
        left = end - time.time()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            sys.exit("no %r in %r" % (pattern, seen))
        seen += os.read(fd, 65536).decode()
    return seen


def send(text):
    os.write(fd, text.encode())


until(r"prickle=[#>] ")
send("CREATE TABLE completed (aaa int, bbb text);\n")
until(r"CREATE TABLE[\s\S]*prickle=[#>] ")
send("SELECT aaa FROM comple\t")
until(r"completed ")
send("WHERE bb\t")
until(r"bbb ")
send("IS NULL;\n")
until(r"0 rows[\s\S]*prickle=[#>] ")
for line, offered in [("SET timezone TO Europe/Be\t", "Berlin"), ("DROP TABLE comp\t", "completed"), ("\\d+ compl\t", "completed"),
                      ("\\connect pric\t", "prickle"), ("UPDATE completed SET b\t", "bbb")]:
    send(line)
    until(offered)
    send("\x03")
    until(r"prickle=[#>] ")
send("SELECT pg_sleep(20);\n")
time.sleep(0.3)
send("\x03")
until(r"canceling statement due to user request[\s\S]*prickle=[#>] ", 5)
send("DROP TABLE completed;\n")
until(r"DROP TABLE[\s\S]*prickle=[#>] ")
send("\\q\n")
_, status = os.waitpid(pid, 0)
assert status == 0, status
