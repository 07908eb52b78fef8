/** What power gives to other plugins on a region. */
import { AsyncSeriesBailHook, AsyncSeriesHook } from 'tapable'
import { BedplateError } from '../../../core/errors.ts'
import type { Clock, Database, Query, Secrets, Tx } from '../../../core/plugin.ts'
import { secretFields } from '../driver.ts'
import { driverNamed } from '../drivers.ts'
import { endpointFor } from '../endpoint.ts'
import type { PowerOutcome, PowerService, PowerStateName } from '../manifest.ts'
import { checked, driverFor, split, type Parameters } from '../parameters.ts'
import type { Racks } from './racks.ts'
import * as store from '../store.ts'
import { moment, stands } from '../store/routes.ts'

export interface Target { readonly machine: string, readonly driver: string, readonly parameters: Parameters, readonly state: PowerStateName, readonly error: string | null
  /** The rack that was handed an action and has not answered. */
  readonly acting: string | null
}
type Sealed = Pick<store.Bmc, 'machine' | 'driver' | 'parameters' | 'secrets' | 'state' | 'error'>
export interface PowerCore extends Omit<PowerService, 'link' | 'members'> {
  /** How a machine is powered, secrets opened; a machine nobody has configured is powered by hand. */
  target(q: Query, machine: string): Promise<Target>
  opened(bmc: Sealed): Omit<Target, 'acting'>
  /** Where its BMC is, as text (endpoint.ts); null where any rack will do. */
  endpoint(q: Query, machine: string): Promise<string | null>
  /** Stores what was seen and tells the hook when it is news. */
  saw(tx: Tx, machine: string, state: PowerStateName, error: string | null): Promise<void>
}

const mask = '••••••'
const sealedAs = (machine: string): string => `power/${machine}`

export function createPower ({ db, clock, secrets, racks, timeout }: { readonly db: Database, readonly clock: Clock, readonly secrets: Secrets, readonly racks: Racks, readonly timeout: number }): PowerCore {
  const hooks: PowerService['hooks'] = { outcome: new AsyncSeriesHook<[Tx, PowerOutcome]>(['tx', 'outcome']), state: new AsyncSeriesHook(['tx', 'change']), found: new AsyncSeriesHook(['tx', 'found']), macs: new AsyncSeriesBailHook(['q', 'machine']) }
  const now = () => new Date(clock.now())
  const secretsOf = (bmc: Sealed): Parameters => bmc.secrets === null ? {} : JSON.parse(secrets.open(bmc.secrets, sealedAs(bmc.machine))) as Parameters

  const power: PowerCore = {
    hooks,
    async enqueue (tx, machine, { action, boot, firmware }) {
      const driver = driverNamed((await store.bmc(tx, machine))?.driver ?? 'manual')
      if (action !== 'cycle' && !driver.actions.includes(action)) throw new BedplateError('POWER_UNSUPPORTED', { driver: driver.name, action })
      await store.enqueue(tx, machine, action, boot ?? null, firmware ?? null, now())
      await tx.changed('power.action', machine)
    },

    async cancel (tx, machine, id) {
      const [ended, running] = partition(await store.cancel(tx, machine, id ?? null, now()), action => action.state === 'cancelled')
      if (ended.length + running.length === 0) return undefined
      await tx.changed('power.action', machine)
      // What runs is over when its rack has let go of it: then the outcome is told.
      for (const { action } of ended) await hooks.outcome.promise(tx, { machine, action, ok: false, reason: null, rack: null, superseded: running.length > 0, cancelled: true })
      return (running[0] ?? ended[0])?.id
    },

    async configure (tx, machine, name, given) {
      const before = await store.bmc(tx, machine)
      const driver = driverFor(name, given, before?.driver)
      const unmasked = Object.fromEntries(Object.entries(given).filter(([field, value]) => !(value === mask && secretFields(driver.parameters).includes(field))))
      const parts = split(driver, checked(driver, unmasked))
      // Kept only towards the same BMC: else whoever may change the address could have the password sent to himself.
      const kept = before?.driver === driver.name && before.parameters.address === parts.open.address ? secretsOf(before) : {}
      const secret = { ...kept, ...parts.secret }
      await store.putBmc(tx, machine, driver.name, parts.open, Object.keys(secret).length === 0 ? null : secrets.seal(JSON.stringify(secret), sealedAs(machine)), endpointFor(driver, { ...parts.open, ...secret }))
      await tx.changed('power.machine', machine)
      await tx.changed('power.bmc', machine)
    },

    async configuration (q, machine) {
      const bmc = await store.bmc(q, machine)
      if (bmc === undefined) return undefined
      const hidden = bmc.secrets === null ? [] : secretFields(driverNamed(bmc.driver).parameters)
      return { driver: bmc.driver, parameters: { ...bmc.parameters, ...Object.fromEntries(hidden.map(field => [field, mask])) } }
    },

    async states (q, machines) {
      return new Map((await store.bmcs(q, machines)).map(({ machine, state, checkedAt, error }) => [machine, { state, checkedAt, error }]))
    },
    async drivers (q, machines) {
      return new Map((await store.bmcs(q, machines)).map(({ machine, driver }) => [machine, driver]))
    },

    async query (machine) {
      const at = await moment(db, machine) // before the parameters are read: those of a newer version do no harm
      const target = await power.target(db, machine)
      if (at === undefined || !driverNamed(target.driver).queries) return 'unknown'
      const saw = (state: PowerStateName, error: string | null): Promise<void> => db.tx(async tx => { if (await stands(tx, machine, at)) await power.saw(tx, machine, state, error) })
      try {
        const { state } = await racks.query(target, timeout)
        await saw(state, null)
        return state
      } catch (error) {
        if (error instanceof BedplateError) await saw('error', error.message)
        throw error
      }
    },

    async remove (tx, machine) {
      await store.remove(tx, machine)
      await tx.changed('power.machine', machine)
      await tx.changed('power.bmc', machine)
    },

    opened: bmc => ({ machine: bmc.machine, driver: bmc.driver, parameters: { ...bmc.parameters, ...secretsOf(bmc) }, state: bmc.state, error: bmc.error }),
    async target (q, machine) {
      const bmc = await store.bmc(q, machine)
      return bmc === undefined ? { machine, driver: 'manual', parameters: {}, state: 'unknown', error: null, acting: null } : { ...power.opened(bmc), acting: bmc.acting }
    },

    async endpoint (q, machine) {
      const bmc = await store.bmc(q, machine)
      if (bmc === undefined) return null
      try { return endpointFor(driverNamed(bmc.driver), power.opened(bmc).parameters) } catch { return null } // its secrets do not open: it is of no use to any rack
    },

    async saw (tx, machine, state, error) {
      const before = await store.putState(tx, machine, state, error, now())
      if (before === undefined || before === state) return
      await tx.changed('power.machine', machine)
      await hooks.state.promise(tx, { machine, from: before, to: state })
    }
  }
  return power
}

function partition<T> (all: readonly T[], which: (one: T) => boolean): readonly [T[], T[]] {
  return [all.filter(which), all.filter(one => !which(one))]
}
