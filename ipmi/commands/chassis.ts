/** The machine's power: IPMI 2.0 sections 28.2 and 28.3. */
import { Reader } from '../bytes.ts'
import { netFn } from '../message.ts'
import { byte, nothing, type Command } from './command.ts'

/** `policy`: what it does when mains power returns. `lastEvent`: bits of section 28.2, byte 3. */
export interface ChassisStatus { readonly on: boolean, readonly overload: boolean, readonly interlock: boolean, readonly fault: boolean, readonly controlFault: boolean, readonly policy: 'off' | 'previous' | 'on' | 'unknown', readonly lastEvent: number, readonly misc: number }
const policies = ['off', 'previous', 'on', 'unknown'] as const
const has = (byte: number, number: number): boolean => (byte >> number & 1) === 1

export const getChassisStatus: Command<void, ChassisStatus> = {
  name: 'Get Chassis Status', netFn: netFn.chassis, command: 0x01, request: nothing,
  response: {
    encode: ({ on, overload, interlock, fault, controlFault, policy, lastEvent, misc }) => Buffer.of([on, overload, interlock, fault, controlFault].reduce((bits, one, number) => bits | (one ? 1 << number : 0), policies.indexOf(policy) << 5), lastEvent, misc),
    decode: bytes => {
      const from = new Reader(bytes, 'the answer to Get Chassis Status')
      const [power, lastEvent, misc] = [from.u8(), from.u8(), from.u8()]
      return { on: has(power, 0), overload: has(power, 1), interlock: has(power, 2), fault: has(power, 3), controlFault: has(power, 4), policy: policies[power >> 5 & 3] ?? 'unknown', lastEvent, misc }
    }
  }
}

/** `shutdown` asks the operating system, as a press of the power button does; the others do not ask. */
export const control = { off: 0, on: 1, cycle: 2, reset: 3, diagnostic: 4, shutdown: 5 } as const
export const chassisControl: Command<number, void> = { name: 'Chassis Control', netFn: netFn.chassis, command: 0x02, request: { ...byte('Chassis Control'), decode: bytes => new Reader(bytes, 'Chassis Control').u8() & 0x0f }, response: nothing }
/** `seconds`: 0 puts the light out; `on` leaves it on. Section 28.5. */
export const chassisIdentify: Command<{ readonly seconds: number, readonly on: boolean }, void> = {
  name: 'Chassis Identify', netFn: netFn.chassis, command: 0x04, response: nothing,
  request: { encode: ({ seconds, on }) => on ? Buffer.of(seconds, 1) : Buffer.of(seconds), decode: bytes => ({ seconds: bytes[0] ?? 15, on: ((bytes[1] ?? 0) & 1) === 1 }) }
}
