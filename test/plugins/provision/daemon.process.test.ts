/** A whole controller, region and rack in one process: machines played by plain HTTP, an operator by the API. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import images from '../../../plugins/images/index.ts'
import machines from '../../../plugins/machines/index.ts'
import network from '../../../plugins/network/index.ts'
import power from '../../../plugins/power/index.ts'
import provision from '../../../plugins/provision/index.ts'
import { startDaemon, type Daemon } from '../../kit/daemon.ts'
import { until } from '../../kit/wait.ts'
import { fakeInitrd, fakeKernel, fakeRoot, sha256 } from '../images/rig.ts'
import { archive } from './archive.ts'
import { nextMac, uploadOf } from './region.rig.ts'

interface View { readonly id: string, readonly hostname: string, readonly status: string, readonly reason: string | null, readonly hostKeys?: readonly string[] }
let daemon: Daemon
const bound = { timeout: 15_000 }
beforeAll(async () => {
  daemon = await startDaemon({ plugins: [network, power, images, machines, provision] })
  const vlans = await api<{ items: { id: string }[] }>('GET', '/network/vlans')
  await api('POST', '/network/subnets', { vlanId: vlans.items[0]!.id, cidr: '127.0.0.0/16' }) // where this machine's requests come from
  for (const bytes of [fakeKernel(), fakeInitrd(), fakeRoot()]) await fetch(`${daemon.url}/api/v1/images/files/${sha256(bytes)}`, { method: 'PUT', headers: { 'authorization': `Bearer ${daemon.token}`, 'content-type': 'application/octet-stream' }, body: new Uint8Array(bytes) })
  await api('POST', '/images/', { name: 'debian-12', os: 'debian', release: '12', architecture: 'amd64', title: 'Debian 12', user: 'debian', kernel: sha256(fakeKernel()), initrd: sha256(fakeInitrd()), root: sha256(fakeRoot()) })
})
afterAll(() => daemon?.stop())

async function api<T = View> (method: string, path: string, body?: unknown): Promise<T> {
  const answer = await daemon.request<T>(method, `/api/v1${path}`, body)
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300)
  return answer.body
}
const show = (id: string) => api('GET', `/machines/${id}`)
const become = (id: string, status: string) => until(async () => (await show(id)).status === status, { ...bound, what: `${id} to be ${status}` })
const say = async (token: string, what: string, fields: Record<string, string>) => (await fetch(`${daemon.rackUrl}/provision/${token}/${what}`, { method: 'POST', body: new URLSearchParams(fields) })).status
const upload = async (token: string, mac: string) => (await fetch(`${daemon.rackUrl}/provision/${token}/inventory`, { method: 'POST', headers: { 'content-type': 'application/x-tar' }, body: new Uint8Array(archive(...Object.entries(uploadOf(mac)).map(([name, text]) => ({ name, content: Buffer.from(text) })))) })).status
/** What the rack gives at this path once it has heard; undefined while it says 404. */
const fetched = async (token: string, what: string) => { const answer = await fetch(`${daemon.rackUrl}/provision/${token}/${what}`); const text = await answer.text(); return answer.status === 200 ? text : undefined }
const gone = (token: string) => until(async () => await fetched(token, 'script') === undefined, { ...bound, what: 'the token to be worth nothing on the rack' })
/** The token a boot script would carry. */
const token = async (id: string) => (await daemon.db!.query<{ token: string }>('select token from provision.session where machine = $1', [id]))[0]!.token
const enlisted = async (mac: string): Promise<View> => {
  await until(() => fetched('enlist', 'script'), bound)
  expect(await upload('enlist', mac)).toBe(204)
  return await until(async () => (await api<{ items: View[] }>('GET', `/machines/?mac=${mac}`)).items[0], bound)
}

test('from a machine nobody knows to Deployed and back to Ready', async () => {
  const mac = nextMac()
  const { id, status } = await enlisted(mac)
  expect(status).toBe('New')

  await api('POST', `/machines/${id}/commission`, {})
  const first = await token(id)
  expect(await until(() => fetched(first, 'script'), bound)).toContain('report inventory started')
  expect(await upload(first, mac)).toBe(204)
  await become(id, 'Ready')
  await gone(first)

  await api('POST', `/machines/${id}/allocate`, {})
  await api('POST', `/machines/${id}/deploy`, { image: 'debian-12', sshKeys: ['ssh-ed25519 AAAA me'] })
  const second = await token(id)
  expect(second).not.toBe(first)
  expect(await until(() => fetched(second, 'script'), bound)).toContain('/dev/vda')
  expect(await fetched(second, 'network-config')).toContain(mac)
  expect(await fetched(second, 'vendor-data')).toContain('ssh-ed25519 AAAA me')
  expect(await say(second, 'report', { stage: 'installed', status: 'ok', message: 'on disk' })).toBe(204)
  expect(await say(second, 'phone-home', { pub_key_ed25519: 'ssh-ed25519 BBBB root@host\n' })).toBe(204)
  await become(id, 'Deployed')
  const { body: { items } } = await daemon.request<{ items: { message: string }[] }>('GET', `/api/v1/machines/${id}/events`)
  expect(items.map(({ message }) => message)).toEqual(expect.arrayContaining(['installed: on disk']))
  const addresses = async () => (await api<{ items: { owner: string | null }[] }>('GET', '/network/addresses')).items.filter(({ owner }) => owner === id).length
  expect(await addresses()).toBe(1)

  await api('POST', `/machines/${id}/release`, {})
  const third = await token(id)
  await gone(second)
  expect(await until(() => fetched(third, 'script'), bound)).toContain('wipefs')
  expect(await say(third, 'report', { stage: 'released', status: 'ok', message: 'wiped' })).toBe(204)
  await become(id, 'Ready')
  await gone(third)
  expect(await addresses()).toBe(0)
})

test('a deployment that fails on the machine fails with its words, and its token is over', async () => {
  const mac = nextMac()
  const { id } = await enlisted(mac)
  await api('POST', `/machines/${id}/commission`, {})
  await until(async () => await fetched(await token(id), 'script'), bound)
  await upload(await token(id), mac)
  await become(id, 'Ready')
  await api('POST', `/machines/${id}/allocate`, {})
  await api('POST', `/machines/${id}/deploy`, { image: 'debian-12' })
  const own = await token(id)
  await until(() => fetched(own, 'script'), bound)
  expect(await say(own, 'report', { stage: 'system', status: 'failed', message: 'unsquashfs: no space left on device' })).toBe(204)
  await become(id, 'Failed deployment')
  expect((await show(id)).reason).toBe('system: unsquashfs: no space left on device')
  await gone(own)
  expect(await say(own, 'report', { stage: 'installed', status: 'ok' })).toBe(410)
})

test('a machine registered by hand without a word on its architecture is one that an imported image fits', async () => {
  const mac = nextMac()
  const { id, architecture } = await api<View & { architecture: string }>('POST', '/machines/', { macs: [mac] })
  const { items } = await api<{ items: { architecture: string }[] }>('GET', '/images/')
  expect(items.map(image => image.architecture)).toContain(architecture)
  await api('POST', `/machines/${id}/commission`, {})
  await until(async () => await fetched(await token(id), 'script'), bound)
  await upload(await token(id), mac)
  await become(id, 'Ready')
})

test('an image that is not there is refused by the API, and the machine stays Allocated', async () => {
  const mac = nextMac()
  const { id } = await enlisted(mac)
  await api('POST', `/machines/${id}/commission`, {})
  await until(async () => await fetched(await token(id), 'script'), bound)
  await upload(await token(id), mac)
  await become(id, 'Ready')
  await api('POST', `/machines/${id}/allocate`, {})
  expect(await daemon.request('POST', `/api/v1/machines/${id}/deploy`, { image: 'nothing' })).toMatchObject({ status: 404, body: { code: 'NOT_FOUND', detail: 'There is no image nothing.' } })
  expect((await show(id)).status).toBe('Allocated')
})

test('a machine that is forgotten while it has a session can say nothing more', async () => {
  const { id } = await enlisted(nextMac())
  await api('POST', `/machines/${id}/commission`, {})
  const own = await token(id)
  await until(() => fetched(own, 'script'), bound)
  await api('POST', `/machines/${id}/mark-broken`, {})
  await gone(own)
  await api<unknown>('DELETE', `/machines/${id}`)
  expect((await daemon.request('GET', `/api/v1/machines/${id}`)).status).toBe(404)
})

test('an upload too large to be a fact, and one that is none, leave the outbox as it was', async () => {
  const post = async (body: Uint8Array<ArrayBuffer>) => (await fetch(`${daemon.rackUrl}/provision/enlist/inventory`, { method: 'POST', headers: { 'content-type': 'application/x-tar' }, body })).status
  expect(await post(new Uint8Array(archive({ name: 'cmdline', content: Buffer.alloc(7 << 20, 1) })))).toBe(413)
  expect(await post(new Uint8Array(archive({ name: 'cmdline', content: Buffer.alloc(500 << 10, 1) })))).toBe(204) // three million characters of JSON
  expect((await enlisted(nextMac())).status).toBe('New') // what comes after it arrives
  expect(await daemon.db!.query('select from core.fact_rejected')).toEqual([])
})
