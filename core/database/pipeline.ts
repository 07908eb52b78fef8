/** Several statements in one journey to the server (the extended protocol's pipeline): what goes before is carried out, and answered, with what follows. */
import { Query } from 'pg'
import type { Connection, PoolClient, QueryConfig, QueryResult } from 'pg'

/** A statement whose rows nobody wants; its values in PostgreSQL's own text form. */
export interface Before { readonly text: string, readonly values?: readonly string[] }
/** The part of pg's connection and Query that its types leave out. */
type Books = Connection & { readonly submittedNamedStatements: Record<string, string> }
interface Inner { name: string | undefined, submit(connection: Connection): Error | null | undefined, handleCommandComplete(message: unknown, connection: Connection): void, handleError(error: Error, connection: Books): void }
type Last = QueryConfig & { readonly query_timeout?: number }

/**
 * Runs `before`, then `last`, and gives the result of `last`. Rejects with the first error; what follows it was not carried out, nor was anything undone:
 * in a transaction the server waits for the rollback.
 */
export const pipeline = (client: PoolClient, before: readonly Before[], last: Last): Promise<QueryResult> => new Promise((resolve, reject) => {
  const config = { ...last, queryMode: 'extended', callback: (error: Error | undefined | null, result: QueryResult) => { if (error) reject(error); else resolve(result) } }
  const query = Object.assign(new Query(config), last.query_timeout === undefined ? {} : { query_timeout: last.query_timeout })
  const inner = query as Omit<Query, 'submit'> & Inner
  const [submit, complete, fail, name] = [inner.submit.bind(inner), inner.handleCommandComplete.bind(inner), inner.handleError.bind(inner), last.name]
  let ahead = before.length // answers that are not those of `last`
  inner.submit = connection => {
    connection.stream.cork()
    try {
      for (const { text, values = [] } of before) {
        connection.parse({ name: '', text, types: [] }, true)
        connection.bind({ values: [...values] }, true)
        connection.execute({}, true)
      }
      return submit(connection)
    } finally {
      if (ahead > 0) inner.name = undefined // or pg took the first answer to a parse for that of `last`, and believed a name to be at the server that never came to be
      connection.stream.uncork()
    }
  }
  inner.handleCommandComplete = (message, connection) => {
    if (ahead === 0) return complete(message, connection)
    if (--ahead === 0) inner.name = name
  }
  inner.handleError = (error, connection) => {
    if (name !== undefined) delete connection.submittedNamedStatements[name]
    fail(error, connection)
  }
  client.query(query)
})

/** PostgreSQL's text form of an array of texts. */
export const arrayOf = (values: readonly string[]): string => `{${values.map(value => `"${/["\\]/.test(value) ? value.replace(/["\\]/g, '\\$&') : value}"`).join(',')}}`
