/** What goes wrong between a console and a BMC. The one class of error this module throws. */

/**
 * - `timeout`: no answer, after all repetitions.
 * - `authentication`: the BMC refuses user, password, K_g or privilege level, or does not know them itself.
 * - `refused`: the BMC understood and says no.
 * - `unsupported`: the BMC, or this module, does not do it.
 * - `busy`: the BMC cannot now: no session is free, or it says that it is busy. Worth another try.
 * - `malformed`: the BMC's answer is not what the specification says.
 * - `parameter`: what the caller gave cannot be sent.
 * - `unreachable`: the host has no address, or the system cannot send to it.
 * - `aborted`: the caller's signal, or the client was closed.
 */
export type IpmiErrorKind = 'timeout' | 'authentication' | 'refused' | 'unsupported' | 'busy' | 'malformed' | 'parameter' | 'unreachable' | 'aborted'

/** Never holds a password or a key. `code`: the completion code or RMCP+ status the BMC gave, where it was one. */
export class IpmiError extends Error {
  readonly kind: IpmiErrorKind
  readonly code: number | undefined

  constructor (kind: IpmiErrorKind, message: string, code?: number) {
    super(message)
    this.name = 'IpmiError'
    this.kind = kind
    this.code = code
  }
}
