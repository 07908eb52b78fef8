/** When two UUIDs are one machine's: SMBIOS and BMCs write the same sixteen bytes in two orders. Pure. */

/** What boards say whose maker never set one: nobody can be told by it. */
const saysNothing = new Set(['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '03000200-0400-0500-0006-000700080009', '00020003-0004-0005-0006-000700080009', '12345678-1234-5678-90ab-cddeefaabbcc'])

/** As this program writes it, in lower case; null for anything else, and for the ones that boards have from their factory. */
export function realUuid (text: string | null | undefined): string | null {
  const uuid = text?.trim().toLowerCase() ?? ''
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid) && !saysNothing.has(uuid) ? uuid : null
}

/**
 * The UUID in both orders. SMBIOS 2.6 (7.2.1) keeps the first three fields with their low byte first, IPMI 2.0 (20.8) all sixteen bytes backwards, and RFC 4122
 * neither; firmware mixes them up, always so that the first three fields are reversed.
 */
export function spellings (text: string | null | undefined): readonly string[] {
  const uuid = realUuid(text)
  if (uuid === null) return []
  const reversed = (field: string): string => (field.match(/../g) ?? []).reverse().join('')
  const [a = '', b = '', c = '', ...rest] = uuid.split('-')
  const other = [reversed(a), reversed(b), reversed(c), ...rest].join('-')
  return other === uuid || saysNothing.has(other) ? [uuid] : [uuid, other]
}
