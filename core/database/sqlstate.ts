/** What PostgreSQL's error codes mean for whoever asked: try again, look for another server, or give up. */

interface Failure { readonly code?: unknown, readonly message?: unknown, readonly routine?: unknown }
const codeOf = (thrown: unknown): string => typeof thrown === 'object' && thrown !== null && typeof (thrown as Failure).code === 'string' ? (thrown as { code: string }).code : ''

/** Nothing of the transaction was kept, and the same work may well succeed at once. */
export const repeatable: Readonly<Record<string, string>> = {
  40001: 'serialization failure: another transaction was first',
  '40P01': 'deadlock: PostgreSQL picked this transaction to break it',
  '55P03': 'a lock was not to be had within lock_timeout'
}

/** The server cannot take writes (any more): nothing was kept, and another host may be the primary by now. */
export const elsewhere: Readonly<Record<string, string>> = {
  25006: 'the server is read-only: a standby, or a primary that was fenced',
  '57P01': 'the server or an administrator ended the session',
  '57P02': 'another session crashed the server',
  '57P03': 'the server is starting, stopping or in recovery',
  '57P05': 'the session was idle for too long',
  '53300': 'the server has no connection left',
  '08000': 'connection exception',
  '08001': 'the connection could not be made',
  '08003': 'the connection does not exist',
  '08004': 'the server refused the connection',
  '08006': 'the connection broke',
  '25P03': 'the transaction was idle for too long'
}

/** Node's own codes for a connection that could not be made or broke. */
const network = new Set(['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOENT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'ENOTFOUND', 'EAI_AGAIN', 'EACCES'])
const broken = /^(Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout|timeout expired|timeout exceeded when trying to connect|The server does not support|Connection ended)/ // the client library gives these no code

/** Only this one session ended: nothing says that the server is not the primary any more. */
const own = new Set(['57P01', '57P05', '25P03', 'ECONNRESET', 'EPIPE'])

export const isRepeatable = (thrown: unknown): boolean => codeOf(thrown) in repeatable

/**
 * True when the name of a prepared statement is not at the server what this side takes it for; nothing was kept. 26000: it is not there (`discard all`, a connection pooler). 42P05: it is
 * there already (a pooler again). 0A000 of this routine: a table was altered, and it would give other columns now; the message is translated, the routine is not.
 */
export const isStale = (thrown: unknown): boolean => ['26000', '42P05'].includes(codeOf(thrown)) || (codeOf(thrown) === '0A000' && (thrown as Failure).routine === 'RevalidateCachedQuery')

/** True when the connection or the server is to blame, not the statement. */
export function isLost (thrown: unknown): boolean {
  const code = codeOf(thrown)
  if (code in elsewhere || network.has(code)) return true
  return thrown instanceof Error && broken.test(thrown.message)
}

/** True when the server as a whole is in doubt, so that the next who asks had better look where the primary is. */
export const isDoubtful = (thrown: unknown): boolean => isLost(thrown) && !own.has(codeOf(thrown)) && !(thrown instanceof Error && /^Connection terminated/.test(thrown.message))

/** True when the server itself answered, so that the outcome of the statement is known: it was not kept. */
export const isRefusal = (thrown: unknown): boolean => (thrown as { severity?: unknown } | null)?.severity !== 'PANIC' && /^[0-9A-Z]{5}$/.test(codeOf(thrown)) && !codeOf(thrown).startsWith('57P') && !codeOf(thrown).startsWith('08')

/** True when the statement never left this process, or the server refused to begin with it: it certainly did not happen. */
export const isUnsent = (thrown: unknown): boolean => codeOf(thrown) === '25006' || (thrown instanceof Error && /not queryable$/.test(thrown.message))

/** True when an administrator ended the session; a server that shuts down does that to all of them. */
export const isEnded = (thrown: unknown): boolean => codeOf(thrown) === '57P01'

/** True when this side has waited long enough for an answer. */
export const isUnanswered = (thrown: unknown): boolean => thrown instanceof Error && thrown.message === 'Query read timeout'
