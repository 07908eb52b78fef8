/** What a rack is told about a machine's next boot, and what the machine's history says about a boot request. Pure. */
import type { Static } from 'typebox'
import type { Image } from '../../images/manifest.ts'
import type { Machine, Purpose } from '../../machines/manifest.ts'
import type { manifest } from '../manifest.ts'
import type { BootFiles, MachineEntry } from '../script/ipxe.ts'
import { composeOptions } from './options.ts'

/** What a machine, or one that nobody knows, runs from an image. `kept`: kernel options by scope. */
export const filesOf = ({ kernel, initrd, root, kernelOptions, way, templates }: Image, kept: ReadonlyMap<string, string> = new Map(), machine?: Machine): BootFiles =>
  ({ kernel: { ...kernel }, initrd: { ...initrd }, root: { ...root }, options: composeOptions(kernelOptions, kept, machine), way: machine?.bootWay ?? way, ...templates === undefined ? {} : { templates: { ...templates } } })

/** The entry of each of the machine's MACs. `image`: what it shall run for this purpose, if there is one. `token`: of its session. `kept`: kernel options by scope. */
export function intent (machine: Machine, purpose: Exclude<Purpose, 'enlist'>, image: Image | undefined, token: string | null, kept: ReadonlyMap<string, string> = new Map()): MachineEntry {
  const about = { machine: machine.id, hostname: machine.hostname, purpose }
  switch (purpose) {
    case 'local': return { ...about, token: null, files: null, reason: null }
    case 'poweroff': return { ...about, token: null, files: null, reason: machine.reason ?? `it is ${machine.status}` }
    case 'commission':
    case 'deploy':
    case 'release': return { ...about, token, files: image === undefined ? null : filesOf(image, kept, machine), reason: image === undefined ? missing(machine, purpose) : null }
  }
}

const missing = (machine: Machine, purpose: Purpose): string =>
  purpose === 'deploy' && machine.deployment !== null ? `Image ${machine.deployment.imageId} is gone.` : `There is no image for ${machine.architecture}.`

/** One line for the machine's history. */
export const sentence = ({ what, by, address, bytes, milliseconds, failure, retries = 0 }: Static<typeof manifest.facts.served>): string => {
  // a content address tells a person nothing; the event's data has it whole
  const shown = what.replace(/^\/files\/[0-9a-f]{64}\//, '').replace(/^iqn\.[^ ]*:(root)\.[0-9a-f]{64}/, '$1')
  const took = `${bytes} bytes in ${(milliseconds / 1000).toFixed(1)} s`
  if (by === 'iscsi') {
    const again = retries === 0 ? '' : `, login ${retries + 1}`
    if (shown.endsWith(' (login)')) return `${shown.slice(0, -8)} is read over iSCSI by ${address}${again}`
    return `${shown} was read over iSCSI by ${address}${again}: ${took}${failure === null ? '' : `, until ${failure}`}`
  }
  const over = `over ${by.toUpperCase()} by ${address}`
  if (failure !== null) return `${shown} was asked for ${over} but not sent whole (${bytes} bytes): ${failure}`
  return `${shown} was fetched ${over}: ${took}${retries === 0 ? '' : `, ${retries} ${retries === 1 ? 'packet' : 'packets'} sent again`}`
}
