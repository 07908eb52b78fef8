/** The responder that judges proxmox is itself judged: proxmoxer, a client by others, logs in to it, starts and stops its machines, and changes their boot order. And the driver's own way over TLS. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { proxmox } from '../../../../plugins/power/drivers/proxmox.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { selfSigned, type Certificate } from '../../../../sim/bmc/certificate.ts'
import { quickPace } from '../../../kit/conformance/power-driver.ts'
import { account, startCluster, token, type Cluster } from './proxmox/cluster.ts'

let cluster: Cluster
let own: Certificate
beforeEach(async () => { own = selfSigned('127.0.0.1'); cluster = await startCluster(own) })
afterEach(async () => { await cluster.close() })

/** Runs a script with `api`, logged in; gives what it prints as JSON. Debian's own Python, for its packages. */
async function proxmoxer (login: Readonly<Record<string, string>>, script: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)('/usr/bin/python3', ['-W', 'ignore', '-c', `
import json, sys
from proxmoxer import ProxmoxAPI
login = json.loads(sys.argv[1])
api = ProxmoxAPI('127.0.0.1', port=${new URL(cluster.url).port}, verify_ssl=False, **login)
${script}`, JSON.stringify(login)], { env: { ...process.env, no_proxy: '*' } })
  return JSON.parse(stdout)
}
const [id = '', secret = ''] = token.split('=')
const byToken = { user: id.split('!')[0] ?? '', token_name: id.split('!')[1] ?? '', token_value: secret }
const session = `
vm = api.nodes('one').qemu(100)
def after(task):
    return [[api.nodes('one').tasks(task).status.get()['status'] for _ in range(2)], vm.status.current.get()['status']]
seen = [after(vm.status.start.post()), after(vm.status.shutdown.post(timeout=60))]
vm.config.put(boot='order=net0;scsi0', digest=vm.config.get()['digest'])
print(json.dumps([*seen, vm.config.get()['boot'], [one['vmid'] for one in api.cluster.resources.get(type='vm') if one['type'] == 'qemu']]))`

test.each([['a token', byToken], ['a password', account]])('by %s', async (_, login) => {
  expect(await proxmoxer(login, session)).toEqual([[['running', 'stopped'], 'running'], [['running', 'stopped'], 'stopped'], 'order=net0;scsi0', [100, 901]])
})

test('without credentials nobody is let in', async () => {
  await expect(proxmoxer({ ...byToken, token_value: 'wrong' }, 'print(json.dumps(api.version.get()))')).rejects.toThrow('401')
  await expect(proxmoxer({ ...account, password: 'wrong' }, 'print(json.dumps(api.version.get()))')).rejects.toThrow(/authenticate|401/i)
})

test('over TLS nothing is said to a certificate that is not the pinned one', async () => {
  const kept = createKept()
  try {
    const ask = (tls?: string) => proxmox.query(checked(proxmox, { address: `${cluster.url}/100`, token, ...(tls === undefined ? {} : { tls }) }), { signal: new AbortController().signal, clock: systemClock, pace: { ...quickPace, request: 5_000 }, kept })
    await expect(ask()).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('not trusted') })
    await expect(ask(`sha256:${'ab'.repeat(32)}`)).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining(own.fingerprint) })
    expect(cluster.log).toEqual([])
    expect(await ask(`sha256:${own.fingerprint}`)).toBe('off')
  } finally { await kept.close() }
})
