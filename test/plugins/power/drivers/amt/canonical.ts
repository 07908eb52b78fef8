/** XML by what it means: names with their namespaces, attributes without the declarations, text. So that two writers' envelopes can be compared. */
import { XMLParser } from 'fast-xml-parser'

export interface Element { readonly name: string, readonly attributes: Readonly<Record<string, string>>, readonly content: readonly (Element | string)[] }
type Parsed = Readonly<Record<string, any>>
const parser = new XMLParser({ preserveOrder: true, ignoreAttributes: false, attributeNamePrefix: '', parseTagValue: false, parseAttributeValue: false, ignoreDeclaration: true })

export const canonical = (xml: string): readonly Element[] => (parser.parse(xml, true) as Parsed[]).map(one => element(one, {}))

function element (parsed: Parsed, outer: Readonly<Record<string, string>>): Element {
  const given = (parsed[':@'] ?? {}) as Readonly<Record<string, string>>
  const scope = { ...outer, ...Object.fromEntries(Object.entries(given).filter(([name]) => /^xmlns(:|$)/.test(name)).map(([name, value]) => [name.slice(6), value])) }
  const tag = Object.keys(parsed).find(key => key !== ':@') ?? ''
  const [prefix, local] = tag.includes(':') ? [tag.slice(0, tag.indexOf(':')), tag.slice(tag.indexOf(':') + 1)] : ['', tag]
  const content = (parsed[tag] as Parsed[]).map(child => '#text' in child ? String(child['#text']) : element(child, scope))
  return {
    name: `{${scope[prefix] ?? ''}}${local}`, attributes: Object.fromEntries(Object.entries(given).filter(([name]) => !/^xmlns(:|$)/.test(name))),
    content: local === 'MessageID' || local === 'OperationTimeout' ? ['…'] : content // written by each as it likes
  }
}
