/** Every migration that is no contract leaves the version before at work; and the check that says so finds what it should. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { assert, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { coreMigrations, readMigrations } from '../../core/database/migrate.ts'
import { phaseOf } from '../../core/database/pending.ts'
import { plugins } from '../../core/plugins.ts'
import { expandFaults } from './expand.ts'

const advice = 'An expand migration must leave the version before at work, since both run side by side while an installation is upgraded. Write it as a pair (CONTRIBUTING.md): what adds now, and what takes away in a file of its own whose first line is "-- contract".'

test('no expand migration of this tree breaks the version before', async () => {
  const sets = [coreMigrations, ...plugins.flatMap(({ manifest: { name, migrations } }) => migrations === undefined ? [] : [{ name, directory: migrations }])]
  const faults = (await readMigrations(sets)).filter(({ number, phase }) => number > 1 && phase === 'expand').flatMap(({ set, name, sql }) => expandFaults(sql).map(fault => `${set} ${name}, ${fault}`))
  expect(faults, advice).toEqual([])
})

test('nor does the one the rolling upgrade is tested with', () => {
  const folder = new URL('./ledger/next/', import.meta.url)
  const files = readdirSync(fileURLToPath(folder)).filter(file => file.endsWith('.sql')).map(file => readFileSync(new URL(file, folder), 'utf8'))
  expect(files.filter(sql => phaseOf(sql) === 'expand').flatMap(expandFaults)).toEqual([])
  expect(files.filter(sql => phaseOf(sql) === 'contract').flatMap(expandFaults)).not.toEqual([])
})

describe('found is', () => {
  test.each([
    'drop table a.b', 'DROP TABLE IF EXISTS a.b cascade', 'alter table a.b drop column c', 'alter table a.b drop c', 'alter table a.b add column d text, drop c', 'alter table a.b rename column c to d', 'alter table a.b rename to c',
    'alter table a.b alter column c type bigint', 'alter table a.b alter c set data type text using c::text', 'alter table a.b alter column c set not null', 'alter table a.b alter column c drop default',
    'alter table a.b add column c text not null', 'alter table a.b add c text not null', 'alter table a.b add column c text not null, add column d text default \'x\'', 'alter table a.b add column c text not null check (c <> \'\')',
    'alter table a.b add constraint d check (c > 0)', 'alter table a.b add unique (c)', 'create unique index x on a.b (c)', 'truncate a.b', 'drop view v', 'drop function f()', 'alter table a.b set schema c',
    'create table a.new (n integer); alter table a.b drop column c'
  ])('%s', sql => { expect(expandFaults(`-- what it is for\n${sql};\n`)).toEqual([expect.stringMatching(/^line 2: "/)]) })
})

describe('free is', () => {
  test.each([
    'create table a.b (id text primary key, c text not null, unique (c))', 'alter table a.b add column c text', 'alter table a.b add column c text not null default \'\'', 'alter table a.b add c integer default 0 not null',
    'alter table a.b add column c jsonb not null default \'[]\', add column d boolean not null default false', 'alter table a.b add column id bigint generated always as identity not null', 'alter table a.b add column id bigint not null generated always as identity',
    'create index x on a.b (c)', 'drop index a.x', 'alter table a.b alter column c drop not null', 'alter table a.b alter column c set default 1', 'alter table a.b drop constraint d', 'insert into a.b values (\'drop table x\')',
    '/* drop table a.b */ select 1', 'select 1 -- drop table a.b', 'create table a.new (n integer); create unique index x on a.new (n); alter table a.new alter column n set not null', 'create table a.dropped (drop_at timestamptz)', 'comment on table a.b is \'rename\''
  ])('%s', sql => { expect(expandFaults(sql)).toEqual([]) })
})

test('each fault has the line it is on', () => {
  expect(expandFaults('-- a\nselect 1;\n\nalter table a.b\n  add column x text,\n  drop column c;\ntruncate a.c;').map(fault => fault.slice(0, 6))).toEqual(['line 6', 'line 7'])
})

test('anything is read without a throw', () => {
  assert(property(string({ unit: 'binary', maxLength: 400 }), sql => { expect(Array.isArray(expandFaults(sql))).toBe(true) }), { numRuns: 300 })
})
