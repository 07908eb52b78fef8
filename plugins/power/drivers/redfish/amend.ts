/** Changing a resource that others may change as well: PATCH with If-Match (DSP0266 clause 7.6), and what BMCs make of entity tags. */
import { BedplateError } from '../../../../core/errors.ts'
import type { Answer } from '../../connection/connection.ts'
import type { Found, Service } from './service.ts'

const refused = ({ status }: Answer): boolean => status === 412 || status === 428

/**
 * What to try after an entity tag was refused. When the resource got another one meanwhile, that one, once. When it has the very one that was refused, the BMC does not know its own:
 * then the strong form of a weak one, the one without its quotes, any (`*`), and none. Pure.
 */
export function afterRefusal (before: string | undefined, now: string | undefined): readonly (string | undefined)[] {
  if (now !== undefined && now !== before) return [now]
  const strong = now?.replace(/^W\//, '')
  return [...new Set([strong, strong?.replace(/^"(.*)"$/, '$1'), '*', undefined])].filter(one => one !== before)
}

/** Sends the change; read again and repeated when somebody else changed the resource meanwhile. Refusals in `allow` are given back. POWER_FAILED when it never stops changing, and what Service.request throws. */
export async function amend (service: Service, { path, etag }: Found, body: unknown, { action, allow = [] }: { readonly action: string, readonly allow?: readonly number[] }): Promise<Answer> {
  const patch = (tag: string | undefined) => service.request('PATCH', path, { body, ...(tag === undefined ? {} : { ifMatch: tag }), allow: [412, 428, ...allow] })
  let answer = await patch(etag)
  if (!refused(answer)) return answer
  const now = await service.get(path)
  for (const tag of afterRefusal(etag, now.etag)) {
    answer = await patch(tag)
    if (!refused(answer)) return answer
  }
  throw new BedplateError('POWER_FAILED', { action, reason: `${path} could not be changed: it kept changing by itself (HTTP ${answer.status})` })
}
