/** What kinds of PDU there are: where each says the state of an outlet, and where it takes a command. One row a MIB. Pure. */

export interface Pdu {
  readonly title: string
  /** OID of an outlet's state, and the numbers it has there. */
  readonly state: string, readonly on: number, readonly off: number
  /** OID of an outlet's command, and the numbers that switch at once. */
  readonly command: string, readonly turnOn: number, readonly turnOff: number
}

const apc = '1.3.6.1.4.1.318.1.1'

/** In the order in which they are tried: newer PDUs answer for their forerunners' objects as well. All of PowerNet-MIB, by the names it has for them. */
export const pdus = {
  rpdu2: { // rPDU2OutletSwitchedStatusState, rPDU2OutletSwitchedControlCommand
    title: 'Rack PDU 2G', state: `${apc}.26.9.2.3.1.5`, on: 2, off: 1, command: `${apc}.26.9.2.4.1.5`, turnOn: 1, turnOff: 2
  },
  rpdu: { // rPDUOutletStatusOutletState, rPDUOutletControlOutletCommand
    title: 'Rack PDU', state: `${apc}.12.3.5.1.1.4`, on: 1, off: 2, command: `${apc}.12.3.3.1.1.4`, turnOn: 1, turnOff: 2
  },
  masterswitch: { // sPDUOutletCtl, which tells as well as takes
    title: 'MasterSwitch', state: `${apc}.4.4.2.1.3`, on: 1, off: 2, command: `${apc}.4.4.2.1.3`, turnOn: 1, turnOff: 2
  }
} as const satisfies Readonly<Record<string, Pdu>>
export type PduName = keyof typeof pdus
export const pduNames = Object.keys(pdus) as readonly PduName[]

/** The outlets of `3` or `3,4`, each once, in their order. */
export const outletsOf = (text: string): readonly number[] => [...new Set(text.split(',').map(Number))].sort((one, other) => one - other)

/** What an outlet's number means; undefined is one the MIB does not name, as while the PDU asks the outlet itself. */
export const stateOf = (pdu: Pdu, value: number): 'on' | 'off' | undefined => value === pdu.on ? 'on' : value === pdu.off ? 'off' : undefined

/**
 * The machine's state from its outlets': it has power while one of them gives it. With `wanted` it is judged by what is still missing: a machine is on when all its outlets are, off when none is.
 */
export function together (states: readonly ('on' | 'off' | undefined)[], wanted?: 'on' | 'off'): 'on' | 'off' | 'unknown' {
  if (wanted !== undefined && states.every(state => state === wanted)) return wanted
  if (wanted === 'on') return states.includes('off') ? 'off' : 'unknown'
  return states.includes('on') ? 'on' : states.includes(undefined) ? 'unknown' : 'off'
}
