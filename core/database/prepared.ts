/** Statements that are sent again and again get a name, so that the server parses and plans them once a connection and not each time (what JDBC's drivers do after five). See docs/adr/0011. */
import { createHash } from 'node:crypto'

/** A statement as the client library takes it. */
export interface Asked { readonly text: string, readonly values?: unknown[], readonly name?: string }
export type Statement = (text: string, values?: readonly unknown[]) => Asked

const longest = 20_000 // characters; a text made up for one occasion is not kept in mind
const kept = 2000 // texts counted

/** Never with a name: for what is repeated because a name was not what it had been. */
export const unnamed: Statement = (text, values) => values === undefined ? { text } : { text, values: [...values] }

/**
 * Counts what one pool sends. `often`: how often a text is sent until it has a name. `most`: names a connection holds at the server; what comes later is planned each time.
 * Without values it may be several statements, which cannot be prepared: those never get one.
 */
export function createStatements ({ often = 5, most = 500 }: { readonly often?: number, readonly most?: number } = {}): Statement {
  const seen = new Map<string, number>()
  const names = new Map<string, string>()

  /** The name of a statement, once it was sent often enough to be worth one. */
  function nameOf (text: string): string | undefined {
    const name = names.get(text)
    if (name !== undefined || names.size >= most || text.length > longest) return name
    const count = (seen.get(text) ?? 0) + 1
    if (count < often) {
      if (seen.size >= kept) seen.clear() // texts with a value written into them: none of those is meant
      seen.set(text, count)
      return undefined
    }
    seen.delete(text)
    const made = `bedplate_${createHash('sha256').update(text).digest('hex').slice(0, 32)}` // of the text, not a number: where a connection pooler shares sessions, one name must not mean two statements
    names.set(text, made)
    return made
  }

  return (text, values) => {
    const name = values === undefined || values.length === 0 ? undefined : nameOf(text)
    return name === undefined ? unnamed(text, values) : { ...unnamed(text, values), name }
  }
}
