/** provision, the region half: sessions begin and end with machines' transitions; what racks hand out is rendered here; what machines said arrives here. */
import { defineRegion } from '../../core/plugin.ts'
import { Images } from '../images/manifest.ts'
import { Machines } from '../machines/manifest.ts'
import { Network } from '../network/manifest.ts'
import { renderEnlist } from './collect.ts'
import { createFacts } from './facts.ts'
import { manifest, Provision, type ProvisionService } from './manifest.ts'
import { sessionEntry } from './session.ts'
import { sessionOf, sessionsByToken, sessionsOf } from './store.ts'
import { createTransitions } from './transition.ts'

export default defineRegion(manifest, {
  requires: { machines: Machines, images: Images, network: Network },
  provides: { provision: Provision },
  setup ({ db, deps, log }) {
    deps.machines.hooks.transition.tapPromise('provision', createTransitions(deps.images, deps.network))
    const facts = createFacts(deps.machines, deps.network, log)
    const provision: ProvisionService = {
      session: async (q, machine) => {
        const session = await sessionOf(q, machine)
        return session && { token: session.token, image: session.image }
      }
    }
    const enlist = { kind: 'enlist', id: 'enlist', value: { script: renderEnlist() } } as const

    return {
      provides: { provision },
      rpc: {},
      services: [],
      // Every rack has every session: a machine may boot wherever it is plugged in, and another rack may have to go on with it.
      async wanted (_rack, keys) {
        const tokens = keys?.filter(({ kind }) => kind === 'session').map(({ id }) => id)
        const sessions = tokens?.length === 0 ? [] : await sessionsByToken(db, tokens)
        const entries = await Promise.all(sessions.map(session => sessionEntry(db, deps, session)))
        return [...(keys === undefined || keys.some(({ kind }) => kind === 'enlist') ? [enlist] : []), ...entries.filter(entry => entry !== undefined)]
      },
      async touches (changes) {
        const ids = (topic: string) => changes.filter(change => change.topic === topic).map(({ id }) => id)
        const everything = ['images.image', 'network.subnet', 'network.address'].some(topic => ids(topic).length > 0)
        const machines = ids('machines.machine')
        const sessions = everything ? await sessionsByToken(db) : machines.length > 0 ? await sessionsOf(db, machines) : []
        return [...new Set([...ids('provision.token'), ...sessions.map(({ token }) => token)])].map(id => ({ kind: 'session' as const, id }))
      },
      facts: async (tx, _rack, batch) => { await facts(tx, batch) }
    }
  }
})
