/** The rack's disk: rack.db, with the wanted state it runs by and the outbox of facts. What a function here has returned from is synced. */
import { randomUUID } from 'node:crypto'
import { closeSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { reasonOf } from '../errors.ts'
import type { Entry, Key } from '../plugin.ts'
import type { Frames } from '../rpc/frames.ts'

export type Item = Frames['facts']['items'][number]

export interface RackStore {
  /** Names this life of the outbox; new with a new file. */
  readonly epoch: string
  positions(): ReadonlyMap<string, string>
  entries(plugin: string): Entry[]
  /** Takes a plugin's entries to a position; `apply` runs before the commit, and its throw undoes everything. */
  change(plugin: string, to: string, whole: boolean, put: readonly Entry[], remove: readonly Key[], apply: () => void): void
  /** Forgets entries of kinds, and plugins, that no longer exist. */
  keep(known: ReadonlyMap<string, readonly string[]>): void
  /** Gives the fact's sequence number. */
  append(plugin: string, kind: string, at: string, body: string): number
  /** The oldest facts: at most `count`, and about `size` characters. */
  oldest(count: number, size: number): Item[]
  settle(through: number): void
  depth(): number
  dropOldest(count: number): number
  close(): void
}

const schema = `
  pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 5000;
  create table if not exists meta (key text primary key, value text not null) without rowid;
  create table if not exists entry (plugin text not null, kind text not null, id text not null, value text not null, primary key (plugin, kind, id)) without rowid;
  create table if not exists position (plugin text primary key, position text not null) without rowid;
  create table if not exists outbox (seq integer primary key autoincrement, plugin text not null, kind text not null, at text not null, body text not null);`

/** Opens rack.db in the data directory. A damaged file is put aside, and `damaged` told; the rack then starts empty. */
export function openRackStore (dataDirectory: string, damaged: (reason: string, kept: string) => void): RackStore {
  mkdirSync(dataDirectory, { recursive: true })
  const path = join(dataDirectory, 'rack.db')
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

function prepare (path: string): RackStore {
  closeSync(openSync(path, 'a', 0o600)) // wanted state holds machines' tokens: nobody else reads it; SQLite gives its side files the same mode
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
  const epoch = String(db.prepare("select value from meta where key = 'epoch'").get()?.value)
  const put = db.prepare('insert into entry values (?, ?, ?, ?) on conflict do update set value = excluded.value')
  const remove = db.prepare('delete from entry where plugin = ? and kind = ? and id = ?')
  const clear = db.prepare('delete from entry where plugin = ?')
  const stand = db.prepare('insert into position values (?, ?) on conflict do update set position = excluded.position')
  const standing = db.prepare('select plugin, position from position')
  const append = db.prepare('insert into outbox (plugin, kind, at, body) values (?, ?, ?, ?)')
  const oldest = db.prepare('select seq, plugin, kind, at, body from outbox order by seq limit ?')
  const settle = db.prepare('delete from outbox where seq <= ?')
  const drop = db.prepare('delete from outbox where seq in (select seq from outbox order by seq limit ?)')
  let depth = Number(db.prepare('select count(*) as n from outbox').get()?.n)

  function transaction (work: () => void): void {
    db.exec('begin immediate')
    try {
      work()
      db.exec('commit')
    } catch (error) {
      if (db.isTransaction) db.exec('rollback')
      throw error
    }
  }

  return {
    epoch,
    positions: () => new Map(standing.all().map(row => [String(row.plugin), String(row.position)])),
    entries: plugin => db.prepare('select kind, id, value from entry where plugin = ? order by kind, id').all(plugin)
      .map(row => ({ kind: String(row.kind), id: String(row.id), value: JSON.parse(String(row.value)) as unknown })) as Entry[],
    change (plugin, to, whole, entries, keys, apply) {
      transaction(() => {
        if (whole) clear.run(plugin)
        for (const entry of entries) put.run(plugin, entry.kind, entry.id, JSON.stringify(entry.value) ?? 'null')
        for (const key of keys) remove.run(plugin, key.kind, key.id)
        stand.run(plugin, to)
        apply()
      })
    },
    keep (known) {
      transaction(() => {
        for (const row of db.prepare('select distinct plugin, kind from entry').all()) {
          if (!known.get(String(row.plugin))?.includes(String(row.kind))) db.prepare('delete from entry where plugin = ? and kind = ?').run(String(row.plugin), String(row.kind))
        }
        for (const { plugin } of db.prepare('select plugin from position').all()) if (!known.has(String(plugin))) db.prepare('delete from position where plugin = ?').run(String(plugin))
      })
    },
    append (plugin, kind, at, body) {
      const { lastInsertRowid } = append.run(plugin, kind, at, body)
      depth++
      return Number(lastInsertRowid)
    },
    oldest (count, size) {
      const items: Item[] = []
      let total = 0
      for (const row of oldest.iterate(count)) {
        const body = String(row.body)
        total += body.length + 200
        if (items.length > 0 && total > size) break
        items.push({ seq: Number(row.seq), plugin: String(row.plugin), kind: String(row.kind), at: String(row.at), body: JSON.parse(body) as unknown })
      }
      return items
    },
    settle (through) { depth -= Number(settle.run(through).changes) },
    depth: () => depth,
    dropOldest (count) {
      const dropped = Number(drop.run(count).changes)
      depth -= dropped
      return dropped
    },
    close () { if (db.isOpen) db.close() }
  }
}
