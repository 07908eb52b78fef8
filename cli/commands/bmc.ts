/** `bedplate bmc`: the power drivers there are, looking for BMCs, and those that were found. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.ts'
import { controllerNames } from '../names.ts'
import { ago } from '../output.ts'
import { askSecret, findDriver, flagOf, type Driver, type Field } from '../parameters.ts'
import type { Io, Noun, Session } from '../session.ts'

interface Scan { readonly id: string, readonly range: string, readonly state: string, readonly addresses: number, readonly looked: number, readonly found: number, readonly error: string | null, readonly createdAt: string, readonly finishedAt: string | null }
interface Found {
  readonly host: string, readonly driver: string, readonly address: string, readonly tls: string | null, readonly uuid: string | null, readonly vendor: string | null, readonly model: string | null, readonly serial: string | null
  readonly credentials: boolean, readonly problem: string | null, readonly rack: string, readonly machines: readonly string[], readonly seenAt: string
}

const choices = (field: Field): string => (field.enum ?? field.anyOf?.flatMap(one => one.const === undefined ? [] : [one.const]) ?? []).join(', ')
const noteOf = (driver: Driver, name: string, field: Field): string => [
  ...driver.parameters.required?.includes(name) === true ? ['required'] : [], ...field.writeOnly === true ? ['secret'] : [], ...choices(field) === '' ? [] : [`one of ${choices(field)}`], ...field.default === undefined ? [] : [`by default ${String(field.default)}`]
].join('; ')

const patienceMs = 120_000 // a region may restart meanwhile; the scan goes on

/** Follows a scan to its end, telling how far it is. Failure when it failed or was called off, or nobody answers for two minutes. */
async function follow ({ client, output, io }: Session, id: string): Promise<Scan> {
  let answered = performance.now()
  for (;;) {
    const scan = await client.get<Scan>(`/power/scans/${id}`).catch((error: unknown) => {
      if (!(error instanceof Failure) || !['UNREACHABLE', 'UNAVAILABLE', 'DATABASE_UNREACHABLE', 'INTERNAL'].includes(error.code ?? '') || performance.now() - answered > patienceMs) throw error
      return undefined
    })
    if (scan === undefined) { await rest(io, id); continue }
    answered = performance.now()
    const over = scan.state !== 'running'
    output.progress(`looked at ${scan.looked} of ${scan.addresses} addresses, found ${scan.found}`, over)
    if (scan.state === 'done') return scan
    if (over) throw new Failure(`Scan ${id} ${scan.state === 'cancelled' ? 'was called off' : `failed: ${scan.error ?? 'no reason given'}`}. What it found stays.`, { code: 'NOT_REACHED' })
    await rest(io, id)
  }
}
const rest = (io: Io, id: string): Promise<unknown> =>
  sleep(io.pollMs ?? 1000, undefined, io.signal === undefined ? {} : { signal: io.signal }).catch(() => { throw new Failure(`Interrupted; the scan goes on. To end it: bedplate bmc cancel ${id}`) })

export const bmcCommands: Noun = (program, on) => {
  const noun = program.command('bmc').description('power drivers, and BMCs in a range of addresses')

  on(noun.command('drivers').description('the ways a machine can be powered'), async ({ client, output }) => {
    const { items } = await client.get<{ readonly items: readonly Driver[] }>('/power/drivers')
    output.rows(items, [['NAME', one => one.name], ['TITLE', one => one.title], ['CAN', one => one.capabilities], ['EXPERIMENTAL', one => one.experimental]], 'There are no drivers.')
  })
  on(noun.command('driver').description('the parameters of one driver, which are options of "machine set-power"').argument('<name>'), async ({ client, output }, [name = '']) => {
    const driver = await findDriver(client, name)
    output.item(driver, [['Name', one => one.name], ['Title', one => one.title], ['Can', one => one.capabilities], ['Experimental', one => one.experimental ?? 'no']], [
      { title: 'Parameters', rows: Object.entries(driver.parameters.properties).map(([field, schema]) => [flagOf(field), schema.title, noteOf(driver, field, schema), schema.description]) }
    ])
  })

  on<{ user?: string, password?: string, wait?: boolean }>(noun.command('scan').description('look for IPMI and Redfish in a range of addresses').argument('<range>', '10.0.0.0/24, 10.0.0.10-10.0.0.99 or one address')
    .option('--user <name>', 'ask each BMC whose it is, as this user: to link it to its machine').option('--password <password>', '"-": ask for it; by default BEDPLATE_BMC_PASSWORD').option('--wait', 'until it is done'), async (session, [range], { user, password, wait }) => {
    const { client, output, env, io } = session
    const given = user === undefined || (password !== undefined && password !== '-') ? password : password === undefined && env.BEDPLATE_BMC_PASSWORD ? env.BEDPLATE_BMC_PASSWORD : await askSecret(io, 'Password')
    const { id } = await client.send<Scan>('POST', '/power/scans', { range, ...user === undefined ? {} : { user }, ...given === undefined ? {} : { password: given } })
    if (wait !== true) { output.done(`Scan ${id} has begun; "bedplate bmc scans" tells how far it is.`, { id }); return }
    const scan = await follow(session, id)
    output.done(`Scan ${id} is done: ${scan.found} BMCs at ${scan.addresses} addresses; "bedplate bmc list" shows them.`, scan)
  })
  on(noun.command('scans').description('the last scans, newest first'), async ({ client, output }) => {
    output.rows(await client.list<Scan>('/power/scans'), [['ID', one => one.id], ['RANGE', one => one.range], ['STATE', one => one.state], ['LOOKED AT', one => `${one.looked} of ${one.addresses}`], ['FOUND', one => one.found], ['BEGUN', one => ago(one.createdAt)], ['WHY', one => one.error]], 'Nothing was looked for yet. Begin: bedplate bmc scan 10.0.0.0/24')
  })
  on(noun.command('cancel').description('call a scan off; what it has found stays').argument('<scan>', 'id'), async ({ client, output }, [id = '']) => {
    const scan = await client.send<Scan>('DELETE', `/power/scans/${encodeURIComponent(id)}`)
    output.done(`Scan ${id} is ${scan.state}.`, scan)
  })
  on(noun.command('list').description('the BMCs that scans have found'), async ({ client, output }) => {
    const found = await client.list<Found>('/power/found')
    const [nameOf, machines] = [await controllerNames(client), found.some(one => one.machines.length > 0) ? await client.list<{ readonly id: string, readonly hostname: string }>('/machines') : []]
    output.rows(found, [['HOST', one => one.host], ['DRIVER', one => one.driver], ['MACHINE', one => one.machines.map(id => machines.find(machine => machine.id === id)?.hostname ?? id)], ['VENDOR', one => one.vendor], ['MODEL', one => one.model], ['SERIAL', one => one.serial], ['UUID', one => one.uuid],
      ['LOGIN', one => one.credentials ? 'yes' : 'no'], ['RACK', one => nameOf(one.rack)], ['SEEN', one => ago(one.seenAt)], ['PROBLEM', one => one.problem]], 'No BMC was found yet. Look for some: bedplate bmc scan 10.0.0.0/24')
  })
  on(noun.command('forget').description('a BMC that was found, and the credentials it takes').argument('<host>', 'its address'), async ({ client, output }, [host = '']) => {
    await client.send('DELETE', `/power/found/${encodeURIComponent(host)}`)
    output.done(`The BMC at ${host} is forgotten.`, { host })
  })
}
