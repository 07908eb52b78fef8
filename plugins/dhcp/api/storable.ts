/** Refuses, before anything is done, what PostgreSQL could not store: NUL, half of a surrogate pair, and values nested without end. Pure. */
import { BedplateError } from '../../../core/errors.ts'

const deepest = 20

/** Throws INVALID_REQUEST, naming the part of the request. */
export function checkStorable (part: 'address' | 'query' | 'body', value: unknown): void {
  const open: [value: unknown, depth: number][] = [[value, 0]]
  const refuse = (reason: string): never => { throw new BedplateError('INVALID_REQUEST', { reason: `${part} ${reason}` }) }
  const check = (text: string) => { if (text.includes('\0') || !text.isWellFormed()) refuse('holds a character that is none (NUL, or half of a surrogate pair).') }
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [one, depth] = next
    if (typeof one === 'string') check(one)
    else if (typeof one === 'object' && one !== null) {
      if (depth === deepest) refuse(`is nested deeper than ${deepest}.`)
      for (const [key, inner] of Object.entries(one)) { check(key); open.push([inner, depth + 1]) }
    }
  }
}
