/** Reads what tftpload prints. Pure. */

export interface Loaded {
  readonly done: number, readonly count: number
  /** MiB a second, of all clients together. */
  readonly rate: number
  /** ms from the request for a file to its last block. */
  readonly p50: number, readonly p99: number
  readonly windowSize: number
  /** Blocks the clients had already; clients that said their last ACK again for want of an answer; packets the generator dropped on purpose. */
  readonly repeated: number, readonly timeouts: number, readonly dropped: number
  /** Files that differ from the original. */
  readonly wrong: number
}

/** undefined when it printed no result. */
export function readLoad (text: string): Loaded | undefined {
  const line = text.split('\n').findLast(line => /^TFTP done=\d+\/\d+/.test(line))
  if (line === undefined) return undefined
  const times = text.split('\n').findLast(line => /^\s*per-file ms:/.test(line)) ?? ''
  const number = (pattern: RegExp, from = line): number => Number(pattern.exec(from)?.[1] ?? Number.NaN)
  return {
    done: number(/done=(\d+)/), count: number(/done=\d+\/(\d+)/), rate: number(/=> ([\d.]+) MiB/), windowSize: number(/granted=(\d+)/),
    repeated: number(/dups=(\d+)/), timeouts: number(/timeouts=(\d+)/), dropped: number(/simulated-drops=(\d+)/), wrong: number(/bad=(\d+)/),
    p50: number(/p50=([\d.]+)/, times), p99: number(/p99=([\d.]+)/, times)
  }
}

/** Why a run does not count: a file that did not arrive, or not as it is. */
export function faultOf ({ done, count, wrong }: Pick<Loaded, 'done' | 'count' | 'wrong'>): string | undefined {
  const faults = [...done < count ? [`${count - done} of ${count} files lost`] : [], ...wrong > 0 ? [`${wrong} files or blocks differ`] : []]
  return faults.length === 0 ? undefined : faults.join(', ')
}
