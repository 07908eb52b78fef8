/** The profiles there are. A new one is one file and one line. */
import { BedplateError } from '../../core/errors.ts'
import { generic, type Profile } from './profile.ts'
import { dell } from './profiles/dell.ts'
import { ilo5, ilo6 } from './profiles/hpe.ts'
import { lenovo } from './profiles/lenovo.ts'
import { openbmc } from './profiles/openbmc.ts'
import { supermicro } from './profiles/supermicro.ts'

export const profiles: readonly Profile[] = [{}, dell, ilo5, ilo6, supermicro, lenovo, openbmc].map(different => ({ ...generic, ...different }))

/** The profile of that name, or `generic` with what is different. NOT_FOUND. */
export function profileNamed (wanted: string | Partial<Profile> = 'generic'): Profile {
  if (typeof wanted !== 'string') return { ...generic, ...wanted }
  const found = profiles.find(({ name }) => name === wanted)
  if (found === undefined) throw new BedplateError('NOT_FOUND', { what: 'profile', id: `${wanted}; there are ${profiles.map(({ name }) => name).join(', ')}` })
  return found
}
