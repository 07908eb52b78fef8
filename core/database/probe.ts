/** Asks one server where it stands, over one connection that is kept from question to question. */
import { Client } from 'pg'
import { BedplateError } from '../errors.ts'
import { nameOf, optionsFor } from './connection.ts'
import type { Access, Host } from './connection.ts'
import { standingQuery } from './standing.ts'
import type { Standing } from './standing.ts'

export const patience = 2000 // ms; a server that has not said where it stands by then counts as silent

export class Probe {
  readonly host: Host
  readonly #access: Access
  #client: Client | undefined
  #asking: Promise<Standing> | undefined
  #closed = false

  constructor (host: Host, access: Access) { this.host = host; this.#access = access }

  /** One question at a time: whoever asks meanwhile gets the same answer. Rejects within 4 s: 2 to connect, 2 to answer. */
  ask (): Promise<Standing> {
    return this.#asking ??= this.#ask().finally(() => { this.#asking = undefined })
  }

  async #ask (): Promise<Standing> {
    const client = this.#client ?? this.#connect()
    try {
      if (this.#client !== client) {
        await client.connect()
        if (this.#closed) throw new BedplateError('DATABASE_UNREACHABLE', { hosts: nameOf(this.host), reason: 'the pool is closed' })
        this.#client = client
      }
      const { rows: [standing] } = await client.query<Standing>(standingQuery)
      if (!standing) throw new BedplateError('DATABASE_UNREACHABLE', { hosts: nameOf(this.host), reason: 'it did not say where it stands' })
      if (standing.fenced) this.#drop(client) // a session keeps the default it began with: whether that still holds, a new one tells
      return standing
    } catch (error) {
      this.#drop(client)
      throw error
    }
  }

  #connect (): Client {
    const client = new Client({ ...optionsFor(this.host, this.#access), connectionTimeoutMillis: patience, query_timeout: patience })
    client.on('error', () => { this.#drop(client) }) // the next question makes another
    return client
  }

  #drop (client: Client): void {
    if (this.#client === client) this.#client = undefined
    void client.end().catch(() => {})
  }

  async close (): Promise<void> {
    this.#closed = true
    const client = this.#client
    this.#client = undefined
    await client?.end().catch(() => {})
  }
}
