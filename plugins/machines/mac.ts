/** MAC addresses in any common form, kept in one: lower case, colons. Pure. */
import { BedplateError } from '../../core/errors.ts'

const forms = [/^([0-9a-f]{2}([:-]|$)){6}$/, /^([0-9a-f]{4}(\.|$)){3}$/, /^[0-9a-f]{6}-[0-9a-f]{6}$/, /^[0-9a-f]{12}$/]

/**
 * Takes `52:54:00:AB:cd:ef`, `52-54-…`, `5254.00ab.cdef`, `525400-abcdef`, `525400abcdef`; gives `52:54:00:ab:cd:ef`.
 * INVALID_REQUEST for anything else, and for group addresses and all zeros, which no interface has.
 */
export function parseMac (text: string): string {
  const lower = text.trim().toLowerCase()
  if (!forms.some(form => form.test(lower)) || /[:.-]$/.test(lower)) throw new BedplateError('INVALID_REQUEST', { reason: `"${text.slice(0, 40)}" is not a MAC address; write it like 52:54:00:12:34:56.` })
  const digits = lower.replace(/[:.-]/g, '')
  if ((Number.parseInt(digits.slice(0, 2), 16) & 1) === 1 || /^0+$/.test(digits)) throw new BedplateError('INVALID_REQUEST', { reason: `${lower} is not the address of one interface.` })
  return digits.match(/../g)?.join(':') ?? digits
}
