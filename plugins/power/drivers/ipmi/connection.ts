/** One client for all BMCs of a rack, kept between calls, and its errors as this project's. */
import { BedplateError } from '../../../../core/errors.ts'
import type { Ask } from '../../../../ipmi/client/ask.ts'
import { createClient, type Client } from '../../../../ipmi/client/client.ts'
import { keyOf, type Target } from '../../../../ipmi/client/terms.ts'
import { IpmiError } from '../../../../ipmi/error.ts'
import { passwordLength } from '../../../../ipmi/rakp.ts'
import type { SensorRecord } from '../../../../ipmi/sensor.ts'
import type { Options } from '../../driver.ts'

/** Sensor records change when the BMC's firmware does; `stamp` says whether they did. */
export interface Records { readonly stamp: string, readonly sensors: readonly SensorRecord[] }
interface Shared { readonly client: Client, readonly records: Map<string, Records>, close(): Promise<void> }
export interface Bmc { readonly ask: Ask, readonly records: { get(): Records | undefined, set(records: Records): void } }

const most = 1000 // BMCs whose sensor records are kept

function open (): Shared {
  const client = createClient()
  return { client, records: new Map(), close: () => client.close() }
}

/** Rejects with POWER_AUTHENTICATION, POWER_REFUSED, POWER_UNSUPPORTED, POWER_PARAMETERS_INVALID, and POWER_FAILED where another try may help. */
export async function asking<T> (target: Target, { kept, pace, signal }: Options, work: (bmc: Bmc) => Promise<T>): Promise<T> {
  const { client, records } = kept.of('ipmi', open)
  const options = { timeout: pace.request, signal }
  const ask: Ask = (command, value, lun) => client.request(target, command, value, lun === undefined ? options : { ...options, lun })
  try {
    return await work({
      ask,
      records: {
        get: () => records.get(keyOf(target)),
        set (found) {
          const [oldest] = records.keys()
          if (records.size >= most && oldest !== undefined) records.delete(oldest)
          records.set(keyOf(target), found)
        }
      }
    })
  } catch (error) { throw error instanceof IpmiError ? translated(error) : error }
}

function translated ({ kind, message }: IpmiError): BedplateError {
  switch (kind) {
    case 'authentication': return new BedplateError('POWER_AUTHENTICATION', { reason: message })
    case 'refused': return new BedplateError('POWER_REFUSED', { reason: message })
    case 'unsupported': return new BedplateError('POWER_UNSUPPORTED', { driver: 'ipmi', action: `do this with this BMC (${message})` })
    case 'parameter': return new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'ipmi', reason: message })
    default: return new BedplateError('POWER_FAILED', { action: 'request', reason: message })
  }
}

/** K_g as bytes: `0x` and hexadecimal digits, or text. POWER_PARAMETERS_INVALID. */
export function keyFrom (text: string | undefined): Buffer | undefined {
  if (text === undefined) return undefined
  const digits = /^0x((?:[0-9a-f]{2})*)$/i.exec(text)?.[1]
  const key = digits === undefined ? Buffer.from(text) : Buffer.from(digits, 'hex')
  if (key.length > passwordLength) throw new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'ipmi', reason: `the key K_g has ${key.length} bytes; IPMI has room for ${passwordLength}` })
  return key
}
