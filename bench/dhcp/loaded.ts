/** Reads what the load generators print. Pure. */

export interface Loaded {
  readonly done: number, readonly count: number, readonly rate: number
  readonly retransmitted: number, readonly naks: number, readonly duplicates: number
  /** µs from the first packet of an exchange to its last. */
  readonly p50: number, readonly p99: number
}

/** The last pass dhcpload printed; undefined when it printed none. */
export function readLoad (text: string): Loaded | undefined {
  const line = text.split('\n').findLast(line => /done=\d+\/\d+/.test(line))
  const number = (pattern: RegExp, from = line ?? ''): number => Number(pattern.exec(from)?.[1] ?? Number.NaN)
  if (line === undefined) return undefined
  const total = text.split('\n').findLast(line => /^\s*total us:/.test(line)) ?? ''
  return {
    done: number(/done=(\d+)/), count: number(/done=\d+\/(\d+)/), rate: number(/=> (\d+)/), retransmitted: number(/retx=(\d+)/), naks: number(/nak=(\d+)/), duplicates: number(/dupAddrs=(\d+)/),
    p50: number(/p50=(\d+)/, total), p99: number(/p99=(\d+)/, total)
  }
}

/** Why a run does not count: an exchange that came to no end, or an address two clients have. */
export function faultOf ({ done, count, naks, duplicates }: Pick<Loaded, 'done' | 'count' | 'naks' | 'duplicates'>): string | undefined {
  const faults = [...done < count ? [`${count - done} of ${count} exchanges lost${naks > 0 ? ` (${naks} NAKs)` : ''}`] : [], ...duplicates > 0 ? [`${duplicates} duplicate addresses`] : []]
  return faults.length === 0 ? undefined : faults.join(', ')
}

/** perfdhcp's rate of whole exchanges, and how many it counts as dropped. */
export function readPerf (text: string): { readonly rate: number, readonly drops: number } | undefined {
  const rate = /Rate: ([\d.]+) 4-way/.exec(text)?.[1]
  if (rate === undefined) return undefined
  return { rate: Number(rate), drops: [...text.matchAll(/drops: (\d+)/g)].reduce((sum, [, drops]) => sum + Number(drops), 0) }
}
