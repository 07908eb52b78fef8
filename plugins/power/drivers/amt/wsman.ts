/** Messages of WS-Management (DSP0226, DSP0227) as Intel AMT speaks it: a SOAP envelope asked, one answered or a fault. Pure. */
import { XMLParser } from 'fast-xml-parser'
import { object, text, type Json } from '../../connection/json.ts'

const namespaces = { soap: 'http://www.w3.org/2003/05/soap-envelope', addressing: 'http://schemas.xmlsoap.org/ws/2004/08/addressing', wsman: 'http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd', transfer: 'http://schemas.xmlsoap.org/ws/2004/09/transfer' } as const
const anonymous = `${namespaces.addressing}/role/anonymous`

export type Selectors = Readonly<Record<string, string>>
export interface Message { readonly action: string, readonly resource: string, readonly selectors?: Selectors, readonly body: string }
export type Reply = { readonly body: Json, readonly fault?: undefined } | { readonly fault: { readonly code: string, readonly reason: string } }

/** The URI of a class: Intel's own begin with AMT_, the common ones with CIM_. */
export const classUri = (name: string): string => `${name.startsWith('AMT_') ? 'http://intel.com/wbem/wscim/1/amt-schema/1' : 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2'}/${name}`

const escaped = (value: string): string => value.replace(/[&<>"]/g, sign => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign] ?? sign)
const selectorSet = (selectors: Selectors): string => `<w:SelectorSet>${Object.entries(selectors).map(([name, value]) => `<w:Selector Name="${escaped(name)}">${escaped(value)}</w:Selector>`).join('')}</w:SelectorSet>`

/** An instance that is referred to (an endpoint reference), as an argument. */
export const reference = (className: string, selectors: Selectors): string =>
  `<a:Address>${namespaces.addressing}</a:Address><a:ReferenceParameters><w:ResourceURI>${classUri(className)}</w:ResourceURI>${selectorSet(selectors)}</a:ReferenceParameters>`

/** Elements of the resource's own namespace. A list is repeated; an object that holds `raw` is put in as it is. */
const elements = (values: Json): string => Object.entries(values).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one: unknown) => `<r:${name}>${typeof one === 'object' && one !== null && 'raw' in one ? String(one.raw) : escaped(String(one))}</r:${name}>`)).join('')
const inClass = (className: string, element: string, values: Json): string => `<r:${element} xmlns:r="${classUri(className)}">${elements(values)}</r:${element}>`

export const get = (className: string, selectors?: Selectors): Message => ({ action: `${namespaces.transfer}/Get`, resource: classUri(className), ...(selectors === undefined ? {} : { selectors }), body: '' })
export const put = (className: string, values: Json): Message => ({ action: `${namespaces.transfer}/Put`, resource: classUri(className), body: inClass(className, className, values) })
export const invoke = (className: string, method: string, values: Json): Message => ({ action: `${classUri(className)}/${method}`, resource: classUri(className), body: inClass(className, `${method}_INPUT`, values) })

/** The whole envelope. `timeout`: how long the other side may take, in ms. */
export const envelope = ({ action, resource, selectors, body }: Message, id: string, timeout: number): string =>
  `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="${namespaces.soap}" xmlns:a="${namespaces.addressing}" xmlns:w="${namespaces.wsman}"><s:Header>` +
  `<a:Action>${action}</a:Action><a:To>/wsman</a:To><w:ResourceURI>${resource}</w:ResourceURI><a:MessageID>${escaped(id)}</a:MessageID><a:ReplyTo><a:Address>${anonymous}</a:Address></a:ReplyTo><w:OperationTimeout>PT${Math.max(1, Math.ceil(timeout / 1000))}S</w:OperationTimeout>` +
  `${selectors === undefined ? '' : selectorSet(selectors)}</s:Header><s:Body>${body}</s:Body></s:Envelope>`

const parser = new XMLParser({ ignoreAttributes: true, removeNSPrefix: true, parseTagValue: false, trimValues: true })

/** What is in the envelope's body; undefined for what is no envelope. A document type is refused: nobody sends one, but who wants to make the reader work. */
export function read (content: string): Reply | undefined {
  if (/<!DOCTYPE/i.test(content)) return undefined
  let document: unknown
  try { document = parser.parse(content.trim(), true) } catch { return undefined }
  const { Envelope } = object(document)
  if (typeof Envelope !== 'object' || Envelope === null || !('Body' in Envelope)) return undefined
  const body = object(Envelope.Body)
  if (!('Fault' in body)) return { body }
  const { Code, Reason, Detail } = object(body.Fault)
  const code = text(object(object(Code).Subcode).Value) ?? text(object(Code).Value) ?? 'unknown'
  return { fault: { code: code.replace(/^.*:/, ''), reason: text(object(Reason).Text) ?? text(object(Detail).FaultDetail) ?? '' } }
}
