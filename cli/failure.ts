/** Why a command failed: one line for standard error, and the exit code. */

/** 1: it could not be done; 2: it was asked for wrongly. */
export class Failure extends Error {
  readonly exitCode: 1 | 2
  readonly code: string | undefined

  constructor (message: string, { exitCode = 1, code }: { readonly exitCode?: 1 | 2, readonly code?: string | undefined } = {}) {
    super(message)
    this.name = 'Failure'
    this.exitCode = exitCode
    this.code = code
  }
}

/** The sentence of anything thrown; network errors say more in their cause. */
export const sentenceOf = (thrown: unknown): string => {
  if (!(thrown instanceof Error)) return String(thrown)
  const { cause } = thrown
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.map(sentenceOf).join('; ')
  return cause instanceof Error && cause.message !== '' ? cause.message : thrown.message || thrown.name
}
