// Answers statements with ClickHouse (chdb) or DuckDB, in this process: one JSON object a line comes
// in, {"sql": …}, and one goes out, {"ms": …, "rows": [[…]]} or {"error": …}. The time is that of the
// statement with all of its rows; turning them into texts comes after it.
const [engine, directory, threads, memory] = process.argv.slice(2);
const path = require('path');

const unescape = { '\\t': '\t', '\\n': '\n', '\\r': '\r', '\\b': '\b', '\\f': '\f', '\\0': '\0', "\\'": "'", '\\\\': '\\' };

async function open() {
  if (engine === 'clickhouse') {
    const { Session } = require('chdb');
    const session = new Session(path.join(directory, 'clickhouse'));
    // Caches of answers and of what filters let through would time nothing. To look for a projection costs every
    // question up to half a millisecond, so the one that reads it says so.
    for (const s of [`max_threads=${threads}`, `max_insert_threads=${threads}`, `max_memory_usage=${memory}`,
      'use_query_cache=0', 'use_query_condition_cache=0', 'use_uncompressed_cache=0', 'optimize_use_projections=0', 'use_structure_from_insertion_table_in_table_functions=0'])
      session.query('SET ' + s);
    return async (sql) => {
      const start = performance.now();
      const text = session.query(sql, 'TSV');
      const ms = performance.now() - start;
      const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n');
      return { ms, rows: lines.map((l) => l.split('\t').map((v) => (v === '\\N' ? null : v.replace(/\\./g, (m) => unescape[m] ?? m)))) };
    };
  }
  const { DuckDBInstance } = require('@duckdb/node-api');
  const instance = await DuckDBInstance.create(path.join(directory, 'duckdb.db'), { threads, memory_limit: `${Math.floor(memory / 1e6)}MB` });
  const connection = await instance.connect();
  return async (sql) => {
    const start = performance.now();
    const answer = await connection.runAndReadAll(sql);
    const ms = performance.now() - start;
    // A large floating-point number would look like a whole one.
    const text = (v) => (typeof v === 'number' && Math.abs(v) > Number.MAX_SAFE_INTEGER ? v.toExponential() : String(v));
    return { ms, rows: answer.getRows().map((r) => r.map((v) => (v === null ? null : text(v)))) };
  };
}

(async () => {
  const ask = await open();
  const write = (v) => process.stdout.write(JSON.stringify(v) + '\n');
  write({ ms: 0, rows: [] }); // ready
  for await (const line of require('readline').createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    try { write(await ask(JSON.parse(line).sql)); } catch (e) { write({ error: String(e.message || e) }); }
  }
  process.exit(0);
})().catch((e) => { console.error(e); process.exit(1); });
