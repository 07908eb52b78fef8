/** The journal in a SQLite file of its own: write-ahead log, synced with every commit. */
import { randomUUID } from 'node:crypto'
import { closeSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { reasonOf } from '../../../core/errors.ts'
import type { Heard, Journal, JournalLease } from './journal.ts'

const schema = `
  pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 5000;
  create table if not exists meta (key text primary key, value text not null) without rowid;
  create table if not exists lease (seq integer primary key, source text not null, address text not null, subnet text not null, client text not null, client_id text, hostname text, seconds integer not null, ends real not null, boot text not null);
  create table if not exists reserve (address text primary key, subnet text not null, given text not null, leaving integer not null) without rowid;
  create table if not exists forgot (address text primary key, round text not null) without rowid;`

/**
 * Opens `dhcp/journal.sqlite` of the data directory, which must be there. A damaged file is put aside, and `damaged` told: a new journal begins, and the regions let
 * what the old one may have given rest.
 */
export function openJournal (dataDirectory: string, damaged: (reason: string, kept: string) => void): Journal {
  const folder = join(dataDirectory, 'dhcp')
  try { mkdirSync(folder, { mode: 0o700 }) } catch (error) { if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error }
  const path = join(folder, 'journal.sqlite')
  try {
    return prepare(path)
  } catch (error) {
    if (!/malformed|not a database|corrupt/i.test(reasonOf(error))) throw error
    const kept = `${path}.damaged-${Date.now()}`
    for (const suffix of ['', '-wal', '-shm']) try { renameSync(path + suffix, kept + suffix) } catch { /* that one is not there */ }
    damaged(reasonOf(error), kept)
    return prepare(path)
  }
}

function prepare (path: string): Journal {
  closeSync(openSync(path, 'a', 0o600))
  const db = new DatabaseSync(path)
  try {
    db.exec(schema)
    const [check] = db.prepare('pragma quick_check(1)').all()
    if (check?.quick_check !== 'ok') throw new TypeError(`malformed: ${String(check?.quick_check)}`)
    db.prepare('insert into meta values (?, ?) on conflict do nothing').run('epoch', randomUUID())
  } catch (error) {
    db.close()
    throw error
  }
  const meta = db.prepare('select value from meta where key = ?')
  const setMeta = db.prepare('insert into meta values (?, ?) on conflict do update set value = excluded.value')
  const addLease = db.prepare('insert into lease values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const settle = db.prepare('delete from lease where seq <= ?')
  const putReserve = db.prepare('insert into reserve values (?, ?, ?, ?) on conflict do update set subnet = excluded.subnet, given = excluded.given, leaving = excluded.leaving')
  const dropReserve = db.prepare('delete from reserve where address = ?')
  const putForgot = db.prepare('insert into forgot values (?, ?) on conflict do update set round = excluded.round')
  const value = (key: string): string | undefined => { const row = meta.get(key); return row === undefined ? undefined : String(row.value) }

  return {
    load: () => ({
      forgot: db.prepare('select address, round from forgot order by address').all().map(row => ({ address: String(row.address), round: String(row.round) })),
      epoch: value('epoch') ?? '',
      last: Number(value('last') ?? 0),
      leases: db.prepare('select * from lease order by seq').all().map((row): JournalLease => ({
        seq: Number(row.seq), from: row.source === 'reserve' ? 'reserve' : 'knowledge', address: String(row.address), subnet: String(row.subnet), client: String(row.client),
        clientId: row.client_id === null ? null : String(row.client_id), hostname: row.hostname === null ? null : String(row.hostname), seconds: Number(row.seconds), ends: Number(row.ends), boot: String(row.boot)
      })),
      reserve: db.prepare('select * from reserve order by address').all().map(row => ({ address: String(row.address), subnet: String(row.subnet), grant: String(row.given), returning: row.leaving === 1 })),
      heard: ((text): Heard | undefined => text === undefined ? undefined : JSON.parse(text) as Heard)(value('heard'))
    }),
    commit ({ append = [], through = 0, reserve = [], drop = [], heard, forgot = [] }) {
      db.exec('begin immediate')
      try {
        for (const one of append) addLease.run(one.seq, one.from, one.address, one.subnet, one.client, one.clientId, one.hostname, one.seconds, one.ends, one.boot)
        const last = append.at(-1)
        if (last !== undefined) setMeta.run('last', String(last.seq))
        if (through > 0) settle.run(through)
        for (const one of reserve) putReserve.run(one.address, one.subnet, one.grant, one.returning ? 1 : 0)
        for (const address of drop) dropReserve.run(address)
        for (const one of forgot) putForgot.run(one.address, one.round)
        if (heard !== undefined) setMeta.run('heard', JSON.stringify(heard))
        db.exec('commit')
      } catch (error) {
        if (db.isTransaction) db.exec('rollback')
        throw error
      }
    },
    close () { if (db.isOpen) db.close() }
  }
}
