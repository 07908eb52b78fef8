/** An emulated BMC: the part of Redfish (DMTF DSP0266) that drivers use, over HTTP, for one virtual machine. */
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { VirtualMachine } from './vm.ts'

export interface Account { readonly user: string, readonly password: string }
type Json = Readonly<Record<string, unknown>>

const root = '/redfish/v1'
const system = `${root}/Systems/1`
const sessions = `${root}/SessionService/Sessions`

async function body (request: IncomingMessage): Promise<Record<string, unknown>> {
  const parts: Buffer[] = []
  for await (const part of request) { parts.push(part as Buffer); if (parts.length > 64) break }
  const value: unknown = JSON.parse(Buffer.concat(parts).toString() || '{}')
  return typeof value === 'object' && value !== null ? value as Record<string, unknown> : {}
}

/** Serves `machine` on `host:port`; resolves once it listens. */
export async function createBmc (machine: VirtualMachine, account: Account, host: string, port: number): Promise<Server> {
  const tokens = new Map<string, string>() // token → session id
  let override: { enabled: string, target: string } = { enabled: 'Disabled', target: 'None' }
  const etag = () => `"${createHash('sha1').update(JSON.stringify(override)).digest('hex').slice(0, 12)}"`

  const send = (response: ServerResponse, status: number, value?: Json, headers: Record<string, string> = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', 'odata-version': '4.0', ...headers })
    response.end(value === undefined ? undefined : JSON.stringify(value))
  }
  const fail = (response: ServerResponse, status: number, message: string) => send(response, status, { error: { code: 'Base.1.8.GeneralError', message, '@Message.ExtendedInfo': [{ MessageId: 'Base.1.8.GeneralError', Message: message }] } })
  const allowed = (request: IncomingMessage) => {
    const token = request.headers['x-auth-token']
    if (typeof token === 'string') return tokens.has(token)
    return request.headers.authorization === `Basic ${Buffer.from(`${account.user}:${account.password}`).toString('base64')}`
  }
  const describe = (): Json => ({
    '@odata.id': system, '@odata.type': '#ComputerSystem.v1_13_0.ComputerSystem', '@odata.etag': etag(), Id: '1', Name: machine.spec.name, SerialNumber: machine.spec.name, Manufacturer: 'Bedplate', Model: 'Lab',
    PowerState: machine.state() === 'on' ? 'On' : 'Off',
    Boot: { BootSourceOverrideEnabled: override.enabled, BootSourceOverrideTarget: override.target, BootSourceOverrideMode: machine.spec.firmware === 'uefi' ? 'UEFI' : 'Legacy', 'BootSourceOverrideTarget@Redfish.AllowableValues': ['None', 'Pxe', 'Hdd'] },
    EthernetInterfaces: { '@odata.id': `${system}/EthernetInterfaces` },
    Actions: { '#ComputerSystem.Reset': { target: `${system}/Actions/ComputerSystem.Reset`, 'ResetType@Redfish.AllowableValues': ['On', 'ForceOff', 'GracefulShutdown', 'ForceRestart', 'PowerCycle'] } }
  })

  async function reset (type: unknown, response: ServerResponse): Promise<void> {
    const arm = () => {
      if (override.enabled !== 'Disabled') machine.bootOnce(override.target === 'Pxe' ? 'network' : override.target === 'Hdd' ? 'disk' : null)
      if (override.enabled === 'Once') override = { enabled: 'Disabled', target: 'None' }
    }
    switch (type) {
      case 'On': if (machine.state() === 'off') { arm(); await machine.on() } break
      case 'ForceOff': await machine.off(); break
      case 'GracefulShutdown': machine.shutdown(); break
      case 'ForceRestart': case 'PowerCycle': arm(); await machine.reset(); break
      default: fail(response, 400, `ResetType ${String(type)} is not supported.`); return
    }
    response.writeHead(204).end()
  }

  async function answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').replace(/\/+$/, '')
    const route = `${request.method} ${path}`
    if (route === `GET ${root}`) { send(response, 200, { '@odata.id': root, RedfishVersion: '1.11.0', Systems: { '@odata.id': `${root}/Systems` }, SessionService: { '@odata.id': `${root}/SessionService` }, Links: { Sessions: { '@odata.id': sessions } } }); return }
    if (route === `POST ${sessions}`) {
      const given = await body(request)
      if (given.UserName !== account.user || given.Password !== account.password) { fail(response, 401, 'Wrong user name or password.'); return }
      if (tokens.size >= 16) { fail(response, 503, 'No session is free.'); return }
      const token = randomBytes(16).toString('hex')
      const id = randomBytes(4).toString('hex')
      tokens.set(token, id)
      send(response, 201, { '@odata.id': `${sessions}/${id}`, Id: id }, { 'x-auth-token': token, location: `${sessions}/${id}` })
      return
    }
    if (!allowed(request)) { fail(response, 401, 'Log in first.'); return }
    if (request.method === 'DELETE' && path.startsWith(`${sessions}/`)) { for (const [token, id] of tokens) if (path.endsWith(`/${id}`)) tokens.delete(token); response.writeHead(204).end(); return }
    if (route === `GET ${root}/Systems`) { send(response, 200, { '@odata.id': `${root}/Systems`, Members: [{ '@odata.id': system }], 'Members@odata.count': 1 }); return }
    if (route === `GET ${system}`) { send(response, 200, describe(), { etag: etag() }); return }
    if (route === `GET ${system}/EthernetInterfaces`) { send(response, 200, { Members: [{ '@odata.id': `${system}/EthernetInterfaces/1` }] }); return }
    if (route === `GET ${system}/EthernetInterfaces/1`) { send(response, 200, { '@odata.id': `${system}/EthernetInterfaces/1`, MACAddress: machine.spec.mac }); return }
    if (route === `PATCH ${system}`) {
      if (request.headers['if-match'] && request.headers['if-match'] !== etag()) { fail(response, 412, 'The system has changed.'); return }
      const boot = (await body(request)).Boot as Record<string, unknown> | undefined
      const target = boot?.BootSourceOverrideTarget
      if (target !== undefined && !['None', 'Pxe', 'Hdd'].includes(String(target))) { fail(response, 400, `BootSourceOverrideTarget ${String(target)} is not supported.`); return }
      override = { enabled: String(boot?.BootSourceOverrideEnabled ?? override.enabled), target: String(target ?? override.target) }
      send(response, 200, describe(), { etag: etag() })
      return
    }
    if (route === `POST ${system}/Actions/ComputerSystem.Reset`) { await reset((await body(request)).ResetType, response); return }
    fail(response, 404, `There is no ${path}.`)
  }

  const server = createServer((request, response) => { answer(request, response).catch(error => { if (!response.headersSent) fail(response, 400, String(error)); else response.destroy() }) })
  await new Promise<void>((resolve, reject) => { server.once('error', reject); server.listen(port, host, resolve) })
  return server
}
