/** Statements that are sent again and again get a name, so that the server parses and plans them once a connection and not each time (what JDBC's drivers do after five). */

const often = 5
const most = 500 // names a connection holds at the server; what comes later is planned each time
const longest = 20_000 // characters; a text made up for one occasion is not kept in mind
const kept = 2000 // texts counted

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
  const made = `bedplate_${names.size}`
  names.set(text, made)
  return made
}

/** A statement with its values as the client library takes it. Without values it may be several statements, which cannot be prepared. */
export function statement (text: string, values: readonly unknown[] | undefined): { text: string, values?: unknown[], name?: string } {
  if (values === undefined) return { text }
  const name = nameOf(text)
  return name === undefined ? { text, values: [...values] } : { name, text, values: [...values] }
}
