/** The host's interfaces and their addresses: read, put on with a lifetime, taken off. Done in the kernel when a call returns, without a program in between. */
import { constants } from 'node:os'
import { BedplateError } from '../errors.ts'
import type { Assigned, FloatingAddress, Link } from './address.ts'
import { addressesMessage, linksMessage, numbered, putMessage, readAnswer, removeMessage } from './netlink.ts'
import { fault, openRouting } from './socket.ts'
import type { RawSocket } from './socket.ts'

/** The kernel's side. All but `open` return at once; they throw UNAVAILABLE or PRIVILEGE_MISSING. A seam, so that a test needs no interfaces. */
export interface Interfaces {
  links(): readonly Link[]
  addresses(): readonly Assigned[]
  /** Puts an address on a link, or sets its lifetime (s) anew. */
  put(address: FloatingAddress, link: number, seconds: number): void
  /** Takes it off; nothing happens when it is not there. */
  remove(address: FloatingAddress, link: number): void
  close(): void
}

const gone: readonly number[] = [constants.errno.EADDRNOTAVAIL, constants.errno.ENODEV]
const times = 4 // a list is asked for: each takes microseconds, so that something changes in between every time on no sound host

export async function openInterfaces (open: () => Promise<RawSocket> = openRouting): Promise<Interfaces> {
  const socket = await open()
  let sequence = 0
  /** One question and its whole answer, which ends with a result. */
  const ask = (message: Uint8Array): { links: Link[], addresses: Assigned[], result: number, interrupted: boolean } => {
    socket.send(numbered(message, ++sequence))
    const all: { links: Link[], addresses: Assigned[], interrupted: boolean } = { links: [], addresses: [], interrupted: false }
    for (;;) {
      const data = socket.receive()
      if (data === undefined) throw new BedplateError('UNAVAILABLE', { reason: 'the kernel does not answer about interfaces.', name: 'EAGAIN' })
      const { links, addresses, result, interrupted } = readAnswer(data, sequence)
      all.links.push(...links)
      all.addresses.push(...addresses)
      all.interrupted ||= interrupted === true
      if (result !== undefined) return { ...all, result }
    }
  }
  const done = (what: string, message: Uint8Array, fine: readonly number[] = []): void => {
    const { result } = ask(message)
    if (result !== 0 && !fine.includes(result)) throw fault(what, result)
  }
  /** A whole list: an address that is missing from it would be given up, or put on twice. */
  const list = (message: Uint8Array): ReturnType<typeof ask> => {
    for (let time = 0; time < times; time++) {
      const answer = ask(message)
      if (answer.result !== 0) throw fault('Reading the interfaces', answer.result)
      if (!answer.interrupted) return answer
    }
    throw new BedplateError('UNAVAILABLE', { reason: 'the interfaces change faster than they can be read.', name: 'EINTR' })
  }
  return {
    links: () => list(linksMessage()).links,
    addresses: () => list(addressesMessage()).addresses,
    put: (address, link, seconds) => { done(`Putting ${address.text} on its interface`, putMessage(address, link, seconds)) },
    remove: (address, link) => { done(`Taking ${address.text} off its interface`, removeMessage(address, link), gone) },
    close: () => { socket.close() }
  }
}
