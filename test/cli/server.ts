/** A bare server of its own: an emulated BMC, and behind it a machine that boots as told by the rack and does what its scripts would. */
import { request } from 'node:http'
import { startBmc } from '../../sim/bmc/bmc.ts'
import { createMemory, hardwareOf, type Machine } from '../../sim/machine/machine.ts'
import { archive } from '../plugins/provision/archive.ts'
import { uploadOf } from '../plugins/provision/region.rig.ts'
import { until } from '../kit/wait.ts'

export interface BareServer {
  readonly mac: string
  /** The URL of its BMC, with the credentials. */
  readonly bmc: string
  /** What it did, boot by boot: `enlist`, `commission`, `deploy`, … */
  readonly boots: string[]
  /** A person presses its power button. */
  press(): Promise<void>
  close(): Promise<void>
}
const account = { user: 'admin', password: 'p@ss:word' }
export const hostKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4vS root@machine'

/** `rack`: URL of a rack's HTTP. `address`: of loopback, that it has in the segment. */
export async function createServer (rack: string, mac: string, address: string): Promise<BareServer> {
  const boots: string[] = []
  let power: 'on' | 'off' = 'off'
  let running: Promise<void> = Promise.resolve()

  /** A request from the machine's own address; rejects unless it succeeds. */
  const ask = (path: string, body?: Uint8Array | URLSearchParams): Promise<string> => new Promise((resolve, reject) => {
    const type = body instanceof URLSearchParams ? 'application/x-www-form-urlencoded' : 'application/x-tar'
    const asking = request(path.startsWith('http') ? path : `${rack}${path}`, { localAddress: address, method: body === undefined ? 'GET' : 'POST', ...body === undefined ? {} : { headers: { 'content-type': type } } }, answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('end', () => { if ((answer.statusCode ?? 500) < 300) resolve(text); else reject(new Error(`${path}: ${answer.statusCode} ${text}`)) })
    })
    asking.on('error', reject).end(body instanceof URLSearchParams ? body.toString() : body)
  })
  const report = (url: string, stage: string) => ask(`${url}/report`, new URLSearchParams({ stage, status: 'ok', message: `${stage} is done` }))
  const tell = (url: string) => ask(`${url}/inventory`, new Uint8Array(archive(...Object.entries(uploadOf(mac)).map(([name, text]) => ({ name, content: Buffer.from(text) })))))

  /** From the network card's first request to the end of the script it was given. */
  async function boot (): Promise<void> {
    const script = await until(async () => { const text = await ask(`/boot/ipxe/${mac.replaceAll(':', '-')}`); return /bedplate\.url=/.test(text) ? text : undefined }, { timeout: 15_000, what: 'a script that boots something' })
    const url = /bedplate\.url=(\S+)/.exec(script)?.[1] ?? ''
    const purpose = url.endsWith('/enlist') ? 'enlist' : /^echo Bedplate: \S+: (\w+)$/m.exec(script)?.[1] ?? script
    boots.push(purpose)
    await until(async () => await ask(`${url}/script`).catch(() => undefined), { timeout: 15_000 })
    if (purpose === 'enlist' || purpose === 'commission') await tell(url)
    else if (purpose === 'release') await report(url, 'released')
    else {
      await report(url, 'installed')
      await ask(`${url}/phone-home`, new URLSearchParams({ pub_key_ed25519: hostKey })) // the installed system, once it is up
    }
    if (purpose === 'enlist') power = 'off'
  }
  const on = async (): Promise<void> => {
    if (power === 'on') return
    power = 'on'
    running = running.then(boot)
    running.catch(() => {}) // told to close()
  }
  const machine: Machine = {
    ...createMemory(), hardware: hardwareOf('server', { macs: [mac], firmware: 'bios' }),
    state: () => power, on, async off () { power = 'off' }, async shutdown () { power = 'off' }, async reset () { power = 'off'; await on() }
  }
  const bmc = await startBmc({ redfish: {}, account, machine })
  return {
    mac, boots, press: on,
    bmc: bmc.redfish?.address(0) ?? '',
    async close () { await bmc.close(); await running }
  }
}
