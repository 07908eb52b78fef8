/** Reads what httpload prints. Pure. */

export interface Loaded { readonly done: number, readonly seconds: number, readonly bytes: number, /** Seconds for one file. */ readonly p50: number, readonly p99: number, readonly faults: number, readonly fault: string }

/** Its one line of JSON; undefined when there is none. */
export function readLoad (text: string): Loaded | undefined {
  const line = text.split('\n').findLast(line => line.startsWith('{'))
  if (line === undefined) return undefined
  try {
    const { done, seconds, bytes, p50, p99, faults, fault } = JSON.parse(line) as Record<string, unknown>
    const numbers = [done, seconds, bytes, p50, p99, faults]
    if (!numbers.every(value => typeof value === 'number' && Number.isFinite(value))) return undefined
    return { done, seconds, bytes, p50, p99, faults, fault: String(fault ?? '') } as Loaded
  } catch { return undefined }
}
