/** What drivers keep between calls: sessions, sockets, connections. One for each rack, closed when it stops. */
export interface Closable { close(): Promise<void> | void }
export interface Kept {
  /** The one thing under this name, made when it is first asked for. */
  of<T extends Closable>(name: string, make: () => T): T
  /** Closes all there is; a failure of one does not keep the others. */
  close(): Promise<void>
}

export function createKept (): Kept {
  const things = new Map<string, Closable>()
  return {
    of<T extends Closable>(name: string, make: () => T): T {
      const thing = things.get(name) ?? make()
      things.set(name, thing)
      return thing as T // each driver asks under its own name
    },
    async close () {
      const all = [...things.values()]
      things.clear()
      await Promise.allSettled(all.map(async thing => { await thing.close() }))
    }
  }
}
