/** An Intel AMT for tests, made after the answers and the classes Intel publishes: digest with nonces that grow old, SOAP in and out, a boot source for once. It powers nothing. */
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo } from 'node:net'
import { XMLParser } from 'fast-xml-parser'

export interface AmtMachine {
  readonly url: string
  state: '2' | '4' | '8'
  switches: number
  readonly booted: (string | null)[]
  readonly asked: string[] // the last words of the actions, with the numbers in them
  readonly settings: Record<string, string>
  offered: readonly string[] // power states it takes
  refusal: string // the ReturnValue of all methods
  readonly faults: { busy: number, lies: boolean, slow: number, dieAfterSwitch: boolean, takes: number, fault: string | undefined, page: boolean }
  close(): Promise<void>
}

export const account = { user: 'admin', password: 'P@ss/&?%wörd1"\\' }
export const guid = '3E9C0B5F1A2D6C4B8E7F001122334455'
const realm = 'Digest:A4070000000000000000000000000000'
const usesOfNonce = 6
const [soap, addressing, wsman] = ['http://www.w3.org/2003/05/soap-envelope', 'http://schemas.xmlsoap.org/ws/2004/08/addressing', 'http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd']
const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@', removeNSPrefix: true, parseTagValue: false })
const md5 = (text: string): string => createHash('md5').update(text).digest('hex')

const reply = (action: string, resource: string, body: string): string => `<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:a="${soap}" xmlns:b="${addressing}" xmlns:c="${wsman}" xmlns:g="${resource}"><a:Header><b:To>${addressing}/role/anonymous</b:To><b:RelatesTo>0</b:RelatesTo><b:Action a:mustUnderstand="true">${action}Response</b:Action><b:MessageID>uuid:00000000-8086-8086-8086-000000007A93</b:MessageID><c:ResourceURI>${resource}</c:ResourceURI></a:Header><a:Body>${body}</a:Body></a:Envelope>`
const faultReply = (subcode: string): string => `<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:a="${soap}" xmlns:c="${wsman}"><a:Header/><a:Body><a:Fault><a:Code><a:Value>a:Sender</a:Value><a:Subcode><a:Value>c:${subcode}</a:Value></a:Subcode></a:Code><a:Reason><a:Text xml:lang="en-US">It says why.</a:Text></a:Reason><a:Detail></a:Detail></a:Fault></a:Body></a:Envelope>`
const elements = (values: Readonly<Record<string, string | readonly string[]>>): string => Object.entries(values).flatMap(([name, value]) => [value].flat().map(one => `<g:${name}>${one}</g:${name}>`)).join('')

export async function startAmt (tls?: { readonly key: string, readonly cert: string }): Promise<AmtMachine> {
  const nonces = new Map<string, number>()
  let source: string | null = null
  let once = false
  let pending: { readonly state: AmtMachine['state'], reads: number } | undefined
  const become = (state: AmtMachine['state']): void => {
    if (state === machine.state) return
    if (state === '2' && machine.state === '8') { machine.booted.push(once ? source : null); source = null; once = false }
    machine.state = state
    machine.switches++
  }

  /** As RFC 2617 has it, with its own reading of the header; the count must grow. */
  function known (request: IncomingMessage): boolean {
    const given = Object.fromEntries([...(request.headers.authorization ?? '').matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g)].map(([, name, quoted, bare]) => [name, quoted?.replace(/\\(.)/g, '$1') ?? bare]))
    const used = nonces.get(String(given.nonce))
    const count = Number.parseInt(String(given.nc), 16)
    if (given.username !== account.user || given.realm !== realm || given.qop !== 'auth' || given.uri !== request.url || used === undefined || !(count > used) || count > usesOfNonce) return false
    nonces.set(String(given.nonce), count)
    return given.response === md5(`${md5(`${account.user}:${realm}:${account.password}`)}:${given.nonce}:${given.nc}:${given.cnonce}:auth:${md5(`POST:${given.uri}`)}`)
  }

  /** The answer's body, and whether the connection dies instead. */
  function work (name: string, method: string, resource: string, body: Record<string, any>, selectors: unknown): { readonly body: string, readonly dies?: boolean } | { readonly fault: string } {
    const input = body[`${method}_INPUT`] as Record<string, any> | undefined
    const output = (): string => `<g:${method}_OUTPUT><g:ReturnValue>${machine.refusal}</g:ReturnValue></g:${method}_OUTPUT>`
    const wrap = (values: Parameters<typeof elements>[0]) => ({ body: `<g:${name}>${elements(values)}</g:${name}>` })
    const referred = (argument: Record<string, any> | undefined): string => [argument?.ReferenceParameters?.SelectorSet?.Selector].flat().map((one: Record<string, string>) => `${one?.['@Name']}=${one?.['#text']}`).join(' ')
    if (resource !== `${name.startsWith('AMT_') ? 'http://intel.com/wbem/wscim/1/amt-schema/1' : 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2'}/${name}`) return { fault: 'DestinationUnreachable' }
    switch (`${name} ${method}`) {
      case 'CIM_AssociatedPowerManagementService Get':
        if (pending !== undefined && pending.reads-- <= 0) { become(pending.state); pending = undefined }
        return wrap({ AvailableRequestedPowerStates: machine.offered, PowerState: machine.state })
      case 'CIM_ComputerSystemPackage Get': return wrap({ PlatformGUID: guid })
      case 'CIM_Chassis Get': return wrap({ Manufacturer: 'Intel(R) Client Systems', Model: 'NUC9V7QNX', SerialNumber: 'GEQN0243007J' })
      case 'CIM_SoftwareIdentity Get': return JSON.stringify(selectors) === '{"Selector":{"#text":"AMT","@Name":"InstanceID"}}' ? wrap({ InstanceID: 'AMT', VersionString: '14.0.40' }) : { fault: 'InvalidSelectors' }
      case 'AMT_BootSettingData Get': return wrap({ BIOSLastStatus: ['2', '0'], ...machine.settings, OptionsCleared: 'true', WinREBootEnabled: 'true' })
      case 'AMT_BootSettingData Put': {
        const given = body.AMT_BootSettingData as Record<string, string> | undefined
        if (given === undefined || Object.keys(given).some(key => !(key in machine.settings) && !key.startsWith('@'))) return { fault: 'SchemaValidationError' }
        for (const key of Object.keys(machine.settings)) machine.settings[key] = given[key] ?? ''
        return wrap(machine.settings)
      }
      case 'CIM_BootConfigSetting ChangeBootOrder':
        source = typeof input === 'object' && input.Source !== undefined ? /^InstanceID=Intel\(r\) AMT: Force (PXE|Hard-drive) Boot$/.exec(referred(input.Source))?.[1] ?? null : null
        if (typeof input === 'object' && input.Source !== undefined && source === null) return { fault: 'InvalidParameter' }
        return { body: output() }
      case 'CIM_BootService SetBootConfigRole':
        if (input?.Role !== '1' || referred(input.BootConfigSetting) !== 'InstanceID=Intel(r) AMT: Boot Configuration 0') return { fault: 'InvalidParameter' }
        once = machine.refusal === '0'
        return { body: output() }
      case 'CIM_PowerManagementService RequestPowerStateChange': {
        const state = ({ 2: '2', 8: '8', 12: '8' } as const)[String(input?.PowerState) as '2' | '8' | '12']
        machine.asked.push(`PowerState ${input?.PowerState}`)
        if (state === undefined || referred(input?.ManagedElement) !== 'CreationClassName=CIM_ComputerSystem Name=ManagedSystem') return { fault: 'InvalidParameter' }
        if (machine.refusal === '0' && machine.faults.takes > 0) pending = { state, reads: machine.faults.takes }
        else if (machine.refusal === '0' && !machine.faults.lies) become(state)
        const dies = machine.faults.dieAfterSwitch
        machine.faults.dieAfterSwitch = false
        return { body: output(), dies }
      }
      default: return { fault: 'DestinationUnreachable' }
    }
  }

  async function answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const { faults } = machine
    const send = (status: number, content: string): void => { response.writeHead(status, { 'content-type': 'application/soap+xml; charset=UTF-8' }).end(content) }
    if (faults.slow > 0) await new Promise(resolve => { setTimeout(resolve, faults.slow).unref() })
    if (!known(request)) {
      const nonce = randomBytes(12).toString('base64')
      nonces.set(nonce, 0)
      response.writeHead(401, { 'www-authenticate': `Digest realm="${realm}", nonce="${nonce}",stale="false",qop="auth"`, 'content-type': 'text/html' }).end('<html>Log on failed</html>')
      return
    }
    if (faults.busy > 0) { faults.busy--; send(500, faultReply('InternalError')); return }
    if (faults.page) { send(200, '<html><body>sorry</body></html>'); return }
    if (faults.fault !== undefined) { send(400, faultReply(faults.fault)); return }
    const { Envelope } = parser.parse(Buffer.concat(parts).toString(), true) as { Envelope?: { Header: Record<string, any>, Body: Record<string, any> | '' } }
    const [action, resource] = [String(Envelope?.Header.Action), String(Envelope?.Header.ResourceURI)]
    const method = action.slice(action.lastIndexOf('/') + 1)
    const name = resource.slice(resource.lastIndexOf('/') + 1)
    machine.asked.push(`${name} ${method}`)
    if (action !== `http://schemas.xmlsoap.org/ws/2004/09/transfer/${method}` && action !== `${resource}/${method}`) { send(400, faultReply('ActionNotSupported')); return }
    const done = work(name, method, resource, Envelope?.Body === '' ? {} : Envelope?.Body ?? {}, Envelope?.Header.SelectorSet)
    if ('fault' in done) send(400, faultReply(done.fault))
    else if (done.dies === true) request.socket.destroy()
    else send(200, reply(action, resource, done.body))
  }

  const listener = (request: IncomingMessage, response: ServerResponse): void => { answer(request, response).catch(() => response.destroy()) }
  const server = tls === undefined ? createServer(listener) : createSecure(tls, listener)
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const machine: AmtMachine = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`, state: '8', switches: 0, booted: [], asked: [], refusal: '0', offered: ['2', '5', '8', '10', '12'],
    settings: { BIOSPause: 'false', BIOSSetup: 'false', BootMediaIndex: '0', ElementName: 'Intel(r) AMT Boot Configuration Settings', FirmwareVerbosity: '0', IDERBootDevice: '0', InstanceID: 'Intel(r) AMT:BootSettingData 0', LockKeyboard: 'false', OwningEntity: 'Intel(r) AMT', UseIDER: 'false', UseSOL: 'false' },
    faults: { busy: 0, lies: false, slow: 0, dieAfterSwitch: false, takes: 0, fault: undefined, page: false },
    close: () => new Promise(resolve => { server.close(() => { resolve() }); server.closeAllConnections() })
  }
  return machine
}
