/** Kernel options that operators keep: whose they are, what they may be, and the line they make. Pure. */
import { BedplateError } from '../../../core/errors.ts'

/** `global`, `tag:<name>` or `machine:<id>`. */
export type Scope = { readonly kind: 'global' } | { readonly kind: 'tag' | 'machine', readonly name: string }

/** Characters of one scope's line. The kernel takes 2,048 in all on x86 and arm64, and a boot loader's own part is some 400. */
export const longest = 500
const scopePattern = /^(?:global|(tag|machine):([A-Za-z0-9][A-Za-z0-9._-]{0,62}))$/
/** The initrd and the agent are told by these; a later one of the same name would win over Bedplate's own. */
const own = /^(?:boot|BOOTIF|initrd|bedplate\.[^=]*)(?:=|$)/

/** INVALID_REQUEST for what is no scope. */
export function scopeOf (text: string): Scope {
  const match = scopePattern.exec(text)
  if (match === null) throw new BedplateError('INVALID_REQUEST', { reason: `"${text}" is no scope; it is global, tag:<name> or machine:<id>` })
  const [, kind, name] = match
  return kind === undefined || name === undefined ? { kind: 'global' } : { kind: kind === 'tag' ? 'tag' : 'machine', name }
}

/** The line as it is kept, one space between two options. INVALID_REQUEST for what a boot loader or the kernel would not read as it stands. */
export function checkOptions (text: string): string {
  const refuse = (reason: string) => new BedplateError('INVALID_REQUEST', { reason: `these kernel options ${reason}` })
  if (!/^[\x20-\x7e]*$/.test(text)) throw refuse('hold something else than printable ASCII on one line')
  const words = text.split(' ').filter(word => word !== '')
  const line = words.join(' ')
  if (line === '') throw refuse('are empty; delete them instead')
  if (line.length > longest) throw refuse(`have ${line.length} characters; ${longest} are possible`)
  const mine = words.find(word => own.test(word))
  if (mine !== undefined) throw refuse(`set "${mine.split('=')[0]}", which Bedplate sets itself`)
  const strange = line.includes('${') ? '${' : words.find(word => word === ';' || word === '||' || word === '&&' || word.startsWith('#'))
  if (strange !== undefined) throw refuse(`hold "${strange}", which boot loaders read as their own language`)
  return line
}

/** The scopes whose options a machine gets, in the order of the line: of the same name the last one wins, so what is nearer to the machine comes later. Tags in the order of their names. */
export const scopesOf = (machine?: { readonly id: string, readonly tags: readonly string[] }): string[] =>
  ['global', ...machine === undefined ? [] : [...[...machine.tags].sort().map(tag => `tag:${tag}`), `machine:${machine.id}`]]

/** The image's own options, then those kept. `kept`: by scope. */
export const composeOptions = (image: string, kept: ReadonlyMap<string, string>, machine?: { readonly id: string, readonly tags: readonly string[] }): string =>
  [image, ...scopesOf(machine).map(scope => kept.get(scope) ?? '')].filter(part => part !== '').join(' ')
