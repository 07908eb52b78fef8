/** Endpoints as texts: `ipmi://10.0.0.9:623`. One text for one place, whoever's BMC is there. Pure. */
import type { Driver, Endpoint } from './driver.ts'
import { hostInUrl } from './address.ts'
import type { Parameters } from './parameters.ts'

const form = /^(tcp|ipmi|broadcast):\/\/(.+):(\d{1,5})$/

export const endpointText = ({ by, host, port }: Endpoint): string => `${by}://${hostInUrl(host.toLowerCase())}:${port}`

/** undefined for a text that is none. */
export function endpointOf (text: string): Endpoint | undefined {
  const [, by, host = '', port = ''] = form.exec(text) ?? []
  return by === undefined || Number(port) > 65535 ? undefined : { by: by as Endpoint['by'], host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

/** Where the driver says the BMC is, as text; null where any rack will do, or the parameters do not tell. */
export function endpointFor (driver: Driver, parameters: Parameters): string | null {
  try {
    const endpoint = driver.endpoint?.(parameters)
    return endpoint === undefined ? null : endpointText(endpoint)
  } catch { return null } // parameters of a version before, that this driver takes no more
}
