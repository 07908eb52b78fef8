/** Every error the daemon makes on purpose: a stable code, an HTTP status, and a sentence that says what is wrong and what to do. Codes are never reused. */

interface Definition { readonly status: number, readonly message: string }

/** `{name}` in a message is filled from the error's details. docs/errors.md is generated from this table. */
export const errorCodes = {
  // general
  INTERNAL: { status: 500, message: 'Something failed inside Bedplate: {reason}. The log has the details under request {requestId}.' },
  INVALID_REQUEST: { status: 400, message: 'The request is not valid: {reason}' },
  NOT_FOUND: { status: 404, message: 'There is no {what} {id}.' },
  CONFLICT: { status: 409, message: '{reason}' },
  ALREADY_DONE: { status: 409, message: 'The request with Idempotency-Key {key} was carried out, but its answer was lost. Read what it made or changed; a new request needs a new key.' },
  METHOD_NOT_ALLOWED: { status: 405, message: '{method} is not possible here; {allowed} is.' },
  BODY_TOO_LARGE: { status: 413, message: 'The body is larger than this route takes.' },
  MEDIA_TYPE_UNSUPPORTED: { status: 415, message: 'The body must be JSON: send "Content-Type: application/json".' },
  PRECONDITION_FAILED: { status: 412, message: '{what} {id} has changed since you read it (its ETag is now {etag}). Read it again and repeat the change.' },
  UNAUTHENTICATED: { status: 401, message: 'This request needs a token: send "Authorization: Bearer <token>". The first token is printed when a region starts for the first time; "bedplate token create" makes more.' },
  FORBIDDEN: { status: 403, message: 'The token "{name}" may not do this: it lacks the scope "{scope}".' },
  UNAVAILABLE: { status: 503, message: 'Not possible right now: {reason}' },
  // start
  CONFIG_INVALID: { status: 500, message: 'The configuration is not valid:\n{problems}' },
  GRAPH_INVALID: { status: 500, message: 'The plugins do not fit together:\n{problems}' },
  PLUGIN_UNUSABLE: { status: 500, message: 'These plugins cannot be used:\n{problems}' },
  START_FAILED: { status: 500, message: '{what} failed to start: {reason}' },
  START_TIMEOUT: { status: 500, message: '{what} did not start within {seconds} s.' },
  STOP_TIMEOUT: { status: 500, message: '{what} did not stop within {seconds} s.' },
  STOP_FAILED: { status: 500, message: '{what} did not stop cleanly: {reason}' },
  PRIVILEGE_MISSING: { status: 500, message: '{what} needs a privilege this process lacks: {remedy}' },
  PROGRAM_MISSING: { status: 500, message: '{program} is not installed. Install it: {remedy}' },
  // database
  DATABASE_UNREACHABLE: { status: 503, message: 'No database server that accepts writes can be reached at {hosts}: {reason}' },
  DATABASE_NEWER: { status: 500, message: 'The database was migrated by a newer Bedplate than this one, {version}: {found}. Upgrade this controller to version {needed} or newer.' },
  VERSION_INCOMPATIBLE: { status: 409, message: 'This controller does not fit the others: {reason}.' },
  MIGRATION_FAILED: { status: 500, message: 'Migration {migration} failed: {reason}. Nothing of it was kept.' },
  MIGRATION_CHANGED: { status: 500, message: 'Migration {migration} is not what was applied to this database: {reason}. Applied migrations are never edited; put the file back and add a new one.' },
  TRANSACTION_ABORTED: { status: 500, message: 'A transaction was not committed: {reason}.' },
  TRANSACTION_UNKNOWN: { status: 503, message: 'Nobody knows whether a change was kept: {reason}. Send the request again with the same Idempotency-Key, or read before you repeat it.' },
  EMBEDDED_DATABASE: { status: 500, message: 'The embedded PostgreSQL could not be started: {reason}' },
  TERM_LOST: { status: 409, message: 'This controller is no longer leader in term {term}; the write was refused.' },
  SECRET_UNREADABLE: { status: 500, message: 'A stored secret ({context}) cannot be opened with this controller\'s key. Restore secret.key from another region, or set the credential again.' },
  // links
  LINK_DOWN: { status: 503, message: 'There is no link to {controller}. It may be starting, cut off or gone; "bedplate status" tells.' },
  CALL_UNKNOWN: { status: 503, message: 'The link to {controller} broke while {method} was under way there; it may or may not have been done. Look before you repeat it.' },
  CALL_TIMEOUT: { status: 504, message: '{method} was not answered within {seconds} s by {controller}; it may or may not have been done.' },
  CALL_INVALID: { status: 400, message: 'The call {method} is not valid: {reason}' },
  CALL_FAILED: { status: 502, message: '{method} failed at {controller}: {reason}' },
  FRAME_INVALID: { status: 400, message: 'A frame on the link could not be understood: {reason}' },
  ENROLMENT_REFUSED: { status: 403, message: 'Enrolment was refused: {reason}' },
  OUTBOX_FULL: { status: 507, message: 'The outbox holds {count} facts, its limit; the oldest {dropped} were dropped.' },
  // network
  NETWORK_INVALID: { status: 422, message: '{reason}' },
  OPTION_INVALID: { status: 422, message: 'option {option}: {reason}' },
  ADDRESS_EXHAUSTED: { status: 409, message: 'No free address is left in {where}. Add a range, or release addresses.' },
  // lifecycle
  TRANSITION_INVALID: { status: 409, message: 'Machine {machine} is {state}; {action} is possible only from {from}.' },
  POWER_UNSUPPORTED: { status: 422, message: 'The power driver {driver} cannot {action}.' },
  POWER_PARAMETERS_INVALID: { status: 422, message: 'The power parameters for {driver} are not valid: {reason}' },
  POWER_AUTHENTICATION: { status: 502, message: 'The BMC refuses the credentials ({reason}). Correct the machine\'s power parameters.' },
  POWER_REFUSED: { status: 502, message: 'The BMC refuses: {reason}' },
  POWER_LAST_RACK: { status: 409, message: 'Machine {machine} carries the rack controller {rack}. It is switched by another rack only, and only while one more stays linked beside that one; linked are, besides it: {left}. Start another rack, or switch the machine by hand.' },
  POWER_FAILED: { status: 502, message: 'Power {action} failed: {reason}' },
  IMAGE_INVALID: { status: 422, message: 'The image cannot be imported: {reason}' },
  FILE_CORRUPT: { status: 502, message: 'File {sha256} arrived damaged (got {found}); it was not kept.' },
  // packets and files on the wire
  PACKET_INVALID: { status: 400, message: 'Malformed {protocol} packet: {reason}' },
  FILE_REFUSED: { status: 403, message: 'The file {name} is not served: {reason}' }
} as const satisfies Record<string, Definition>

export type ErrorCode = keyof typeof errorCodes

/** An error with a code. `details` fill the sentence and are shown to API clients: put no secret in them. */
export class BedplateError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly details: Readonly<Record<string, unknown>>

  constructor (code: ErrorCode, details: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(errorCodes[code].message.replace(/\{(\w+)\}/g, (_, key: string) => String(details[key] ?? `<${key}>`)), cause === undefined ? {} : { cause })
    this.name = 'BedplateError'
    this.code = code
    this.status = errorCodes[code].status
    this.details = details
  }
}

/** The sentence of anything that was thrown. */
export const reasonOf = (thrown: unknown): string => {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return thrown.errors.map(reasonOf).join('; ')
  return thrown instanceof Error ? thrown.message || thrown.name : String(thrown)
}

/** True for a BedplateError with that code. */
export const hasCode = (thrown: unknown, code: ErrorCode): boolean => thrown instanceof BedplateError && thrown.code === code
