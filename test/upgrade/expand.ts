/** Finds in a migration what the version before cannot live with: for files that are no contract. Pure; a reader of words, not a parser of SQL. */

interface Rule { readonly pattern: RegExp, readonly why: string }
const rules: readonly Rule[] = [
  { pattern: /\bdrop\s+(table|column|schema|view|materialized\s+view|type|sequence|function|procedure|trigger|domain)\b/, why: 'the version before may still use it' },
  { pattern: /\bdrop\s+(?!(table|column|schema|view|materialized|type|sequence|function|procedure|trigger|domain|index|constraint|default|not|expression|identity|policy|rule|owned|if)\b)[\w"]+\s*[,;]/, why: 'a column ("drop x" is short for "drop column x") that the version before may still use' },
  { pattern: /\brename\b/, why: 'the version before knows it by its old name. Add the new one beside it' },
  { pattern: /\balter\s+(column\s+)?[\w"]+\s+(set\s+data\s+)?type\b/, why: 'the version before reads and writes the old type, and the table is rewritten under a lock. Add a column beside it' },
  { pattern: /\bset\s+not\s+null\b/, why: 'the version before may leave it empty' },
  { pattern: /\balter\s+(column\s+)?[\w"]+\s+drop\s+default\b/, why: 'the version before leaves it to the default' },
  { pattern: /\badd\s+(column\s+)?(if\s+not\s+exists\s+)?(?!constraint\b|primary\b|unique\b|foreign\b|check\b|exclude\b|generated\b|value\b)[\w"]+\s+(?:(?!\bdefault\b|\bgenerated\b|\badd\b)[^,;])*\bnot\s+null\b(?!(?:(?!\badd\b)[^,;])*\b(default|generated)\b)/, why: 'rows that the version before inserts would lack it. Give it a default' },
  { pattern: /\badd\s+(constraint\s+[\w"]+\s+)?(check|unique|foreign\s+key|exclude|primary\s+key)\b/, why: 'the version before may write what it forbids' },
  { pattern: /\btruncate\b/, why: 'what the version before needs would be gone' },
  { pattern: /\bset\s+schema\b/, why: 'the version before looks for it where it was' }
]

/** The text without comments, and with nothing in its strings. In lower case; line ends stay. */
function bare (sql: string): string {
  const blank = (text: string) => text.replace(/[^\n]/g, ' ')
  return sql.replace(/--[^\n]*|\/\*[^]*?\*\/|'(?:[^']|'')*'/g, blank).toLowerCase()
}

/** A sentence for each statement in an expand file that would break the version before, with its line. Tables that the file itself makes are free. */
export function expandFaults (sql: string): string[] {
  const text = bare(sql)
  const own = new Set([...text.matchAll(/\bcreate\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?([\w".]+)/g)].map(match => match[1]))
  let line = 1
  return text.split(';').flatMap(statement => {
    const from = line
    line += statement.split('\n').length - 1
    const table = /\balter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?([\w".]+)/.exec(statement)?.[1]
    if (table !== undefined && own.has(table)) return []
    const index = /\bcreate\s+unique\s+index\b.*?\bon\s+(?:only\s+)?([\w".]+)/s.exec(statement)
    const found = rules.flatMap(({ pattern, why }) => {
      const match = pattern.exec(`${statement};`)
      return match === null ? [] : [{ at: match.index, text: match[0].trim().replace(/\s+/g, ' ').replace(/[,;]$/, ''), why }]
    })
    if (index?.[1] !== undefined && !own.has(index[1])) found.push({ at: index.index, text: index[0].replace(/\s+/g, ' '), why: 'the version before may write what it forbids' })
    return found.map(({ at, text, why }) => `line ${from + statement.slice(0, at).split('\n').length - 1}: "${text}": ${why}`)
  })
}
