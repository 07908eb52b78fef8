/** libvirt's words: what `virsh` prints and a domain's XML (libvirt.org/formatdomain.html). Pure. */
import { XMLBuilder, XMLParser } from 'fast-xml-parser'
import { BedplateError } from '../../../../core/errors.ts'
import type { Identity } from '../../driver.ts'
import type { PowerStateName } from '../../manifest.ts'

export const uuidForm = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The domains in what `list --uuid --name` prints, names by UUID. */
export function domainsIn (text: string): ReadonlyMap<string, string> {
  return new Map(text.split('\n').flatMap(line => {
    const [uuid = '', name = ''] = [line.slice(0, 36), line.slice(37)] // a name may hold blanks, also at its ends
    return uuidForm.test(uuid) ? [[uuid, name] as const] : []
  }))
}

/** In the words of `domstate`. A domain that is paused, suspended or crashed and kept has its memory: it is on, and cannot be started. */
export function stateFrom (text: string): PowerStateName {
  const word = text.trim()
  if (word === 'shut off') return 'off'
  return ['running', 'idle', 'paused', 'in shutdown', 'pmsuspended', 'crashed'].includes(word) ? 'on' : 'unknown'
}

/** An element as the parser gives it: one key is its name, with its children; `:@` are its attributes; text is `#text`. Entities stay as they are written. */
type Element = Record<string, unknown>
const form = { preserveOrder: true, ignoreAttributes: false, attributeNamePrefix: '', processEntities: false, commentPropName: '#comment', cdataPropName: '#cdata' } as const
const parser = new XMLParser({ ...form, trimValues: false, parseTagValue: false, parseAttributeValue: false })
const builder = new XMLBuilder({ ...form, suppressEmptyNode: true, format: false })

const nameOf = (element: Element): string => Object.keys(element).find(key => key !== ':@') ?? ''
const elements = (value: unknown): Element[] => Array.isArray(value) ? value.filter((one): one is Element => typeof one === 'object' && one !== null) : []
const inside = (element: Element | undefined): Element[] => element === undefined ? [] : elements(element[nameOf(element)])
const child = (element: Element | undefined, name: string): Element | undefined => inside(element).find(one => nameOf(one) === name)
function attribute (element: Element | undefined, name: string): string | undefined {
  const attributes = element?.[':@']
  return typeof attributes === 'object' && attributes !== null && name in attributes ? String((attributes as Record<string, unknown>)[name]) : undefined
}
const textOf = (element: Element | undefined): string => inside(element).map(one => typeof one['#text'] === 'string' ? one['#text'] : '').join('').trim()
const plain = (text: string): string => text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => ({ lt: '<', gt: '>', quot: '"', apos: '\'', amp: '&' })[name] ?? '')

function parsed (xml: string): { readonly whole: Element[], readonly domain: Element } {
  const strange = (cause?: unknown) => new BedplateError('POWER_FAILED', { action: 'action', reason: 'virsh printed something that is no domain\'s XML' }, cause)
  if (xml.includes('<!')) throw strange() // libvirt declares no document types, and keeps nobody's comments
  let whole: Element[]
  try { whole = elements(parser.parse(xml)) } catch (error) { throw strange(error) }
  const domain = whole.find(one => nameOf(one) === 'domain')
  if (domain === undefined) throw strange()
  return { whole, domain }
}

/** The MAC addresses of its network cards, lower case. POWER_FAILED. */
export function macsIn (xml: string): readonly string[] {
  return inside(child(parsed(xml).domain, 'devices')).filter(one => nameOf(one) === 'interface').flatMap(one => attribute(child(one, 'mac'), 'address')?.toLowerCase() ?? [])
}

/** Its UUID is the one its firmware tells. POWER_FAILED. */
export function identityIn (xml: string): Identity {
  const { domain } = parsed(xml)
  const uuid = textOf(child(domain, 'uuid')).toLowerCase()
  const told = inside(child(child(domain, 'sysinfo'), 'system'))
  const entry = (name: string): string | null => plain(textOf(told.find(one => attribute(one, 'name') === name))) || null
  return { uuid: uuidForm.test(uuid) ? uuid : null, manufacturer: entry('manufacturer'), model: entry('product'), serial: entry('serial'), bmcVersion: null }
}

/**
 * The same domain, which tries this device first and then the others in their order. A domain has its order either in `os` or on its devices, and keeps its way.
 * POWER_PARAMETERS_INVALID when it has no such device, or boots a kernel its hypervisor loads; POWER_FAILED.
 */
export function bootingFrom (xml: string, boot: 'network' | 'disk'): string {
  const { whole, domain } = parsed(xml)
  const invalid = (reason: string) => new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'virsh', reason: `the domain ${reason}` })
  const os = child(domain, 'os')
  if (os === undefined || child(os, 'kernel') !== undefined) throw invalid('has its kernel loaded by the hypervisor, so it boots from no device; take kernel out of its XML')
  const devices = inside(child(domain, 'devices'))
  const wanted = devices.filter(one => boot === 'network' ? nameOf(one) === 'interface' : nameOf(one) === 'disk' && (attribute(one, 'device') ?? 'disk') === 'disk')
  if (wanted.length === 0) throw invalid(`has no ${boot === 'network' ? 'network card' : 'disk'} to boot from`)
  const orderOf = (device: Element): number => Number(attribute(child(device, 'boot'), 'order') ?? Infinity)
  if (devices.some(one => orderOf(one) < Infinity)) {
    const first = wanted.reduce((best, one) => orderOf(one) < orderOf(best) ? one : best)
    const others = devices.filter(one => one !== first && orderOf(one) < Infinity).sort((a, b) => orderOf(a) - orderOf(b))
    if (child(first, 'boot') === undefined) inChildren(first, list => [{ boot: [] }, ...list])
    for (const [index, device] of [first, ...others].entries()) { const mark = child(device, 'boot'); if (mark !== undefined) mark[':@'] = { ...mark[':@'] as object | undefined, order: String(index + 1) } }
  } else {
    const dev = boot === 'network' ? 'network' : 'hd'
    inChildren(os, list => {
      const at = list.findIndex(one => nameOf(one) === 'boot')
      const before = at < 0 ? list : list.slice(0, at)
      const others = at < 0 ? [] : list.slice(at).filter(one => !(nameOf(one) === 'boot' && attribute(one, 'dev') === dev))
      return [...before, { boot: [], ':@': { dev } }, ...others]
    })
  }
  return String(builder.build(whole))
}

function inChildren (element: Element, change: (children: Element[]) => Element[]): void { element[nameOf(element)] = change(inside(element)) }
