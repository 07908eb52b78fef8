/**
 * A Proxmox VE cluster of two nodes for tests, made after the API definitions in qemu-server, pve-manager and pve-access-control: what a call may be given, what it answers, that a boot order set
 * while a machine runs waits for its next start, that an order set takes `bootdisk` away. It runs nothing.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface Guest {
  node: string
  running: boolean
  switches: number
  booted: (string | null)[] // the boot order of each start, as it was then
  readonly config: Record<string, string>
  readonly pending: Record<string, string | null> // null: to be deleted
}
export interface Cluster {
  readonly url: string
  readonly guests: Map<number, Guest>
  readonly log: string[]
  readonly tickets: Map<string, string> // ticket to CSRF prevention token
  readonly faults: { busy: number, lies: boolean, slow: number, dieAfterSwitch: boolean, dieAfter: RegExp | undefined, taskTakes: number, exit: string, second: boolean }
  close(): Promise<void>
}

export const account = { user: 'bedplate@pve', password: 'calvin/&?%é' }
export const token = 'bedplate@pve!racks=9d3c1f7e-0c9b-4d5b-8d57-3f3c9a1b2c3d'
export const uuid = '5f0b9c3e-2d1a-4b6c-8e7f-001122334455'

export const guest = (config: Record<string, string> = {}): Guest => ({
  node: 'one', running: false, switches: 0, booted: [], pending: {},
  config: { name: 'web', scsi0: 'local-lvm:vm-100-disk-0,size=32G', ide2: 'local:iso/debian.iso,media=cdrom', net0: 'virtio=BC:24:11:2E:D0:11,bridge=vmbr0', net1: 'virtio=BC:24:11:2E:D0:12,bridge=vmbr1', boot: 'order=scsi0;ide2;net0', smbios1: `uuid=${uuid}`, ...config }
})

/** Names a call takes beside node and vmid; the API refuses every other. */
const takes: Readonly<Record<string, readonly string[]>> = { start: ['timeout', 'skiplock'], stop: ['timeout', 'skiplock', 'keepActive', 'overrule-shutdown'], shutdown: ['timeout', 'skiplock', 'forceStop', 'keepActive'], config: ['boot', 'bootdisk', 'description', 'delete', 'digest'], ticket: ['username', 'password', 'realm', 'otp'] }

export async function startCluster (tls?: { readonly key: string, readonly cert: string }): Promise<Cluster> {
  const tasks = new Map<string, { reads: number, readonly end: () => void, readonly exit: string }>()
  const digestOf = ({ config, pending }: Guest) => createHash('sha1').update(JSON.stringify([config, pending])).digest('hex')
  const send = (response: ServerResponse, status: number, body: object): void => { response.writeHead(status, { 'content-type': 'application/json;charset=UTF-8' }).end(JSON.stringify(body)) }
  const data = (response: ServerResponse, value: unknown): void => { send(response, 200, { data: value }) }
  const fail = (response: ServerResponse, status: number, message: string, errors?: object): void => { send(response, status, { data: null, message: `${message}\n`, ...(errors === undefined ? {} : { errors }) }) }
  const apply = (one: Guest): void => {
    for (const [name, value] of Object.entries(one.pending)) {
      if (value === null) delete one.config[name]
      else one.config[name] = value
      delete one.pending[name]
    }
  }
  const become = (one: Guest, running: boolean): void => {
    if (one.running === running) return
    one.running = running
    one.switches++
    if (!running) return
    apply(one)
    one.booted.push(one.config.boot ?? null)
  }
  const permitted = (request: IncomingMessage): string | undefined => {
    if (request.headers.authorization === `PVEAPIToken=${token}`) return undefined
    const [, ticket = ''] = /(?:^|; )PVEAuthCookie=([^;]*)/.exec(request.headers.cookie ?? '') ?? []
    const prevention = cluster.tickets.get(decodeURIComponent(ticket))
    if (prevention === undefined) return 'No ticket'
    return request.method === 'GET' || request.headers.csrfpreventiontoken === prevention ? undefined : 'Permission denied - invalid csrf token'
  }

  async function answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const content = Buffer.concat(parts).toString()
    const body = request.headers['content-type']?.startsWith('application/json') === true ? JSON.parse(content || '{}') as Record<string, unknown> : Object.fromEntries(new URLSearchParams(content))
    const path = (request.url ?? '').replace(/^\/api2\/json/, '')
    const { faults } = cluster
    cluster.log.push(`${request.method} ${path.replace(/UPID[^/]*/, 'UPID')}${request.method === 'PUT' ? ` ${Object.keys(body).filter(key => key !== 'digest').join(' ')}` : ''}`)
    if (faults.slow > 0) await new Promise(resolve => { setTimeout(resolve, faults.slow).unref() })
    if (faults.busy > 0) { faults.busy--; fail(response, 595, 'Connection refused'); return }
    if (path === '/access/ticket' && request.method === 'POST') {
      if (body.username !== account.user || body.password !== account.password) { fail(response, 401, 'authentication failure'); return }
      if (faults.second) { data(response, { username: account.user, ticket: 'PVE:!tfa!challenge:1', NeedTFA: 1 }); return }
      const [ticket, prevention] = [`PVE:${account.user}:${randomBytes(4).toString('hex')}::${randomBytes(12).toString('base64')}`, randomBytes(8).toString('hex')]
      cluster.tickets.set(ticket, prevention)
      data(response, { username: account.user, ticket, CSRFPreventionToken: prevention })
      return
    }
    const refusal = permitted(request)
    if (refusal !== undefined) { fail(response, 401, refusal); return }
    if (path === '/version') { data(response, { version: '9.0.3', release: '9.0', repoid: '025864202ebb6109' }); return }
    if (path === '/cluster/resources?type=vm') {
      data(response, [...[...cluster.guests].map(([vmid, one]) => ({ id: `qemu/${vmid}`, type: 'qemu', vmid, node: one.node, name: one.config.name, status: one.running ? 'running' : 'stopped', template: 0 })),
        { id: 'lxc/900', type: 'lxc', vmid: 900, node: 'one', name: 'container', template: 0 }, { id: 'qemu/901', type: 'qemu', vmid: 901, node: 'one', name: 'template', template: 1 }])
      return
    }
    const [, taskNode, upid = ''] = /^\/nodes\/([^/]+)\/tasks\/([^/]+)\/status$/.exec(path) ?? []
    if (taskNode !== undefined) {
      const task = tasks.get(decodeURIComponent(upid))
      if (task === undefined) { fail(response, 400, 'Parameter verification failed.', { upid: 'no such task' }); return }
      if (task.reads-- === 0) task.end()
      data(response, task.reads < 0 ? { status: 'stopped', exitstatus: task.exit, upid } : { status: 'running', upid })
      return
    }
    const [, node, number, call = ''] = /^\/nodes\/([^/]+)\/qemu\/(\d+)\/(config|status\/\w+)$/.exec(path) ?? []
    const one = cluster.guests.get(Number(number))
    if (node === undefined || one === undefined || one.node !== node) { fail(response, 500, `Configuration file 'nodes/${node}/qemu-server/${number}.conf' does not exist`); return }
    const name = call.replace('status/', '')
    const unknown = Object.keys(body).filter(key => !(takes[name] ?? []).includes(key))
    if (unknown.length > 0) { fail(response, 400, 'Parameter verification failed.', Object.fromEntries(unknown.map(key => [key, 'property is not defined in schema and the schema does not allow additional properties']))); return }
    if (call === 'status/current') { data(response, { vmid: Number(number), status: one.running ? 'running' : 'stopped', qmpstatus: one.running ? 'running' : 'stopped', ha: { managed: 0 } }); return }
    if (call === 'config' && request.method === 'GET') {
      data(response, Object.fromEntries(Object.entries({ ...one.config, ...one.pending, digest: digestOf(one) }).filter(([, value]) => value !== null)))
      return
    }
    if (call === 'config' && request.method === 'PUT') {
      if (body.digest !== undefined && body.digest !== digestOf(one)) { fail(response, 500, 'detected modified configuration - file changed by other user? Try again.'); return }
      for (const key of String(body.delete ?? '').split(',').filter(Boolean)) one.pending[key] = null
      for (const [key, value] of Object.entries(body)) if (key !== 'delete' && key !== 'digest') one.pending[key] = key === 'description' ? `${String(value)}\n` : String(value)
      if ('boot' in body) {
        const order = /^order=(.*)$/.exec(String(body.boot))?.[1]?.split(';') ?? []
        const missing = order.find(device => !(device in one.config))
        if (missing !== undefined) { delete one.pending.boot; fail(response, 500, `invalid bootorder: device '${missing}' does not exist'`); return }
        if (order.length > 0 && 'bootdisk' in one.config) one.pending.bootdisk = null
      }
      if (!one.running) apply(one)
      else if ('description' in one.pending) { // taken at once, as few are
        if (one.pending.description === null) delete one.config.description
        else one.config.description = one.pending.description ?? ''
        delete one.pending.description
      }
      if (faults.dieAfter?.test(String(body.boot ?? ''))) { faults.dieAfter = undefined; request.socket.destroy(); return }
      data(response, null)
      return
    }
    if (request.method === 'POST' && ['start', 'stop', 'shutdown'].includes(name)) {
      const task = `UPID:${node}:0003A1B2:0123ABCD:6700AAAA:qm${name}:${number}:${account.user}:${randomBytes(3).toString('hex')}`
      const end = (): void => { if (!faults.lies && /^(OK|WARNINGS)/.test(faults.exit)) become(one, name === 'start') }
      tasks.set(task, { reads: faults.taskTakes, end, exit: faults.exit })
      if (faults.taskTakes === 0 || faults.dieAfterSwitch) end()
      if (faults.dieAfterSwitch) { faults.dieAfterSwitch = false; request.socket.destroy(); return }
      data(response, task)
      return
    }
    fail(response, 501, `Method '${request.method} ${path}' not implemented`)
  }

  const listener = (request: IncomingMessage, response: ServerResponse): void => { answer(request, response).catch(() => response.destroy()) }
  const server = tls === undefined ? createServer(listener) : createSecure(tls, listener)
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const cluster: Cluster = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`, guests: new Map([[100, guest()]]), log: [], tickets: new Map(),
    faults: { busy: 0, lies: false, slow: 0, dieAfterSwitch: false, dieAfter: undefined, taskTakes: 1, exit: 'OK', second: false },
    close: () => new Promise(resolve => { server.close(() => { resolve() }); server.closeAllConnections() })
  }
  return cluster
}
