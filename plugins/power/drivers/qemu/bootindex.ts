/**
 * Which device QEMU's firmware tries first: each has a property `bootindex`, the lowest is first, and a negative one is not in the order.
 * To boot from one device once, the others are taken out of the order by a number that tells the one they had, so that whoever finds them so
 * after a crash can put them back. Pure.
 */
import { BedplateError } from '../../../../core/errors.ts'

/** Indices by the device's path. */
export type Indices = ReadonlyMap<string, number>

/** -1 is QEMU's own word for a device that is not in the order. */
const out = (index: number): number => index < 0 ? index : -2 - index
const usual = (index: number): number => index <= -2 ? -2 - index : index

/** What is to be set so that every device has the index it was started with. */
export const restored = (now: Indices): Indices => changed(now, usual)

/** What is to be set so that `device` alone is in the order. POWER_PARAMETERS_INVALID when there is no such device, or it was started without a bootindex. */
export function alone (now: Indices, device: string): Indices {
  const own = now.get(device)
  const invalid = (reason: string) => new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'qemu', reason })
  if (own === undefined) throw invalid(`QEMU has no device ${device} with a bootindex; start it with -device …,id=${device.split('/').at(-1) ?? ''},bootindex=…, or name another id`)
  if (own === -1) throw invalid(`QEMU's device ${device} has no bootindex; start it with -device …,bootindex=…`)
  return changed(now, (index, path) => path === device ? usual(index) : out(index))
}

const changed = (now: Indices, to: (index: number, path: string) => number): Indices => new Map([...now].flatMap(([path, index]) => to(index, path) === index ? [] : [[path, to(index, path)]]))
