/** Structured logs: pino behind the one name the rest of the tree uses. */
import { pino } from 'pino'
import type { Logger as Pino } from 'pino'

export type Logger = Pino

/** A root logger at `level`, writing JSON lines to standard error (standard output belongs to commands' results). Secrets' usual names are redacted. */
export const createLogger = (level: string): Logger => pino({
  level,
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  redact: { paths: ['password', 'token', 'secret', '*.password', '*.token', '*.secret', '*.authorization'], censor: '[redacted]' }
}, pino.destination({ dest: 2, sync: true }))
