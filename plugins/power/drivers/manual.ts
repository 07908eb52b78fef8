/** manual: a machine somebody else switches. The action is done when the operator has been told. */
import { Type } from 'typebox'
import { defineDriver } from '../driver.ts'
import type { PowerActionName } from '../manifest.ts'

const told: { readonly [A in PowerActionName]: string } = { on: 'Switch it on', off: 'Switch it off', cycle: 'Switch it off, if it is on, and on again', shutdown: 'Shut its system down' }

export const manual = defineDriver({
  name: 'manual',
  title: 'By hand',
  parameters: Type.Object({}, { additionalProperties: false }),
  actions: ['on', 'off', 'cycle', 'shutdown'],
  queries: false,
  boots: false,
  async power (_parameters, action, { boot }) {
    return { state: 'unknown', note: `An operator must act: ${told[action]}${boot === null ? '' : `, booting from ${boot === 'network' ? 'the network' : 'its disk'}`}.` }
  },
  async query () { return 'unknown' }
})
