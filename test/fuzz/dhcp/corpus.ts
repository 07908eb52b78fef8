/** The packets mutation starts from: one hex text file each, of real clients and of earlier findings. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '../corpus/dhcp')
export interface Seed { readonly name: string, readonly data: Buffer }

/** All of them, by name. Lines that begin with # say what a packet is. */
export const readCorpus = (): readonly Seed[] => readdirSync(folder).filter(name => name.endsWith('.hex')).sort().map(name => ({
  name: name.slice(0, -4),
  data: Buffer.from(readFileSync(join(folder, name), 'utf8').split('\n').filter(line => !line.startsWith('#')).join('').replace(/\s/g, ''), 'hex')
}))
