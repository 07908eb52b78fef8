/** What is said to a power webhook and what its answers mean: docs/guides/power-webhook.md. Pure. */
import { createHmac } from 'node:crypto'
import { BedplateError } from '../../../../core/errors.ts'
import type { PowerActionName, PowerStateName } from '../../manifest.ts'
import { brief } from '../../redact.ts'

export type Action = Exclude<PowerActionName, 'cycle'> | 'status'
/** The request's body, in the order its fields are sent. */
export interface Message {
  readonly id: string // new for each request
  readonly at: string // ISO 8601, UTC: when it was signed
  readonly machine: string
  readonly action: Action
  readonly boot: 'network' | 'disk' | null
  readonly firmware: 'bios' | 'uefi' | null
}

/** The header X-Bedplate-Signature: HMAC-SHA256 (RFC 2104) of the body's bytes, as GitHub's webhooks have it. */
export const signature = (secret: string, body: string): string => `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`

/** The state in an answer. POWER_AUTHENTICATION, POWER_UNSUPPORTED and POWER_REFUSED are for good; POWER_FAILED: worth another try. */
export function stateIn (action: Action, status: number, body: Readonly<Record<string, unknown>>): Extract<PowerStateName, 'on' | 'off' | 'unknown'> {
  const said = typeof body.message === 'string' && body.message !== '' ? `: ${brief(body.message)}` : ''
  if (status === 401 || status === 403) throw new BedplateError('POWER_AUTHENTICATION', { reason: `the endpoint answered HTTP ${status}${said}` })
  if (status === 501) throw new BedplateError('POWER_UNSUPPORTED', { driver: 'webhook', action: `do that: the endpoint cannot ${action}${said}` })
  const reason = `the endpoint answered ${action} with HTTP ${status}${said}`
  if (status >= 500 || [408, 409, 425, 429].includes(status)) throw new BedplateError('POWER_FAILED', { action, reason })
  if (status < 200 || status >= 300) throw new BedplateError('POWER_REFUSED', { reason })
  const { state } = body
  if (state === 'on' || state === 'off' || state === 'unknown') return state
  throw new BedplateError('POWER_FAILED', { action, reason: `${reason}, but without a state; it must be JSON like {"state": "on"}, with on, off or unknown` })
}
