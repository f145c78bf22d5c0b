// node's pg, pg-cursor and postgres against the server of PGHOST and its like.
'use strict';
const assert = require('assert');
const fs = require('fs');
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const postgres = require('postgres');

const ca = fs.readFileSync(process.env.PGSSLROOTCERT, 'utf8');

async function pg() {
  const c = new Client({ ssl: { ca, checkServerIdentity: () => undefined } });
  const notices = [];
  c.on('notice', (n) => notices.push(n.message));
  await c.connect();
  await c.query('CREATE TABLE node (id int NOT NULL, name text, at timestamptz, p jsonb, tags text[], price numeric(8,2), b bytea)');
  const at = new Date('2026-01-02T03:04:05.678Z');
  await c.query('INSERT INTO node VALUES ($1, $2, $3, $4, $5, $6, $7)', [1, "it's", at, { a: [1, null] }, ['x', null, 'y"'], '12.50', Buffer.from([0, 255])]);
  const r = await c.query('SELECT * FROM node WHERE id = $1', [1]);
  assert.deepStrictEqual(r.rows[0], { id: 1, name: "it's", at, p: { a: [1, null] }, tags: ['x', null, 'y"'], price: '12.50', b: Buffer.from([0, 255]) });
  assert.ok(r.fields[0].tableID >= 16384 && r.fields[1].columnID === 2, JSON.stringify(r.fields[1]));
  // A named statement is parsed once.
  for (let i = 0; i < 3; i++) {
    const n = await c.query({ name: 'one', text: 'SELECT $1::int + 1 AS n', values: [i] });
    assert.strictEqual(n.rows[0].n, i + 1);
  }
  // Several statements of one text.
  const many = await c.query('BEGIN; SELECT 1 AS a; SELECT 2 AS b; COMMIT');
  assert.deepStrictEqual(many.map((x) => x.command), ['BEGIN', 'SELECT', 'SELECT', 'COMMIT']);
  await assert.rejects(c.query('SELECT nothing FROM node'), (e) => e.code === '42703' && e.position === '8' && e.severity === 'ERROR');
  await assert.rejects(c.query('SELECT $1::int', ['x']), { code: '22P02' });
  await c.query('CREATE TABLE IF NOT EXISTS node (id int)');
  assert.ok(notices.some((n) => n.includes('already exists')));
  // In binary.
  const bin = await c.query({ text: 'SELECT id, name, at, b FROM node', binary: true });
  assert.strictEqual(bin.rows[0].id, 1);
  assert.strictEqual(bin.rows[0].at.getTime(), at.getTime());
  // A cursor takes what it wants.
  await c.query('BEGIN');
  const cursor = c.query(new Cursor('SELECT g FROM generate_series(1, 1000) g'));
  assert.strictEqual((await cursor.read(10)).length, 10);
  assert.strictEqual((await cursor.read(100)).at(-1).g, 110);
  await cursor.close();
  await c.query('ROLLBACK');
  await c.query('DROP TABLE node');
  await c.end();

  const pool = new Pool({ max: 4 });
  const sums = await Promise.all(Array.from({ length: 20 }, (_, i) => pool.query('SELECT sum(g)::int AS s FROM generate_series(1, $1) g', [i])));
  assert.strictEqual(sums[19].rows[0].s, 190);
  await pool.end();
  const wrong = new Client({ password: 'wrong' });
  await assert.rejects(wrong.connect(), { code: '28P01' });
}

async function postgresJS() {
  const sql = postgres({ max: 3, ssl: { ca, checkServerIdentity: () => undefined }, onnotice: () => {} });
  await sql`CREATE TABLE pjs (id int, name text, tags int[])`;
  await sql`INSERT INTO pjs ${sql([{ id: 1, name: 'a', tags: [1, 2] }, { id: 2, name: null, tags: [] }])}`;
  assert.deepStrictEqual([...(await sql`SELECT * FROM pjs ORDER BY id`)], [{ id: 1, name: 'a', tags: [1, 2] }, { id: 2, name: null, tags: [] }]);
  const seen = [];
  await sql`SELECT g FROM generate_series(1, 25) g`.cursor(10, (rows) => { seen.push(rows.length); });
  assert.deepStrictEqual(seen, [10, 10, 5]);
  await assert.rejects(sql.begin(async (tx) => {
    await tx`DELETE FROM pjs`;
    throw new Error('undo');
  }), /undo/);
  assert.strictEqual((await sql`SELECT count(*)::int AS n FROM pjs`)[0].n, 2);
  const slow = sql`SELECT pg_sleep(20)`.execute();
  setTimeout(() => slow.cancel(), 100);
  await assert.rejects(slow, { code: '57014' });
  await sql`DROP TABLE pjs`;
  await sql.end();
}

pg().then(postgresJS).catch((e) => { console.error(e); process.exit(1); });
