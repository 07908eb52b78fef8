/** The target under test: `bedplate iscsi serve` with a disk to be destroyed. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startServing } from '../../iscsi/serve.ts'
import { scratch } from '../../kit/scratch.ts'
import type { Urls } from './suite.ts'

export interface Target {
  readonly urls: Urls
  /** How it ended by itself; undefined while it runs. */
  readonly fate: string | undefined
  end(): Promise<void>
}

const name = 'iqn.2030-01.org.example:conformance'
const size = 256 << 20 // bytes; sparse

/** Units: 0 to be written, 1 the same to be read; on two portals. */
export async function startTarget (): Promise<Target> {
  const directory = mkdtempSync(join(scratch(), 'bedplate-conformance-'))
  const file = join(directory, 'disk')
  writeFileSync(file, '')
  truncateSync(file, size)
  const serving = await startServing(['--iqn', name, '--portal', '127.0.0.1:0', '--portal', '127.0.0.1:0', '--lun', file, '--lun', `${file}:ro`])
  const url = (portal: number, lun: number): string => `iscsi://${serving.portals[portal]}/${name}/${lun}`
  return {
    urls: { first: url(0, 0), second: url(1, 0), readOnly: url(0, 1) },
    get fate () { return serving.fate },
    async end () { await serving.end(); rmSync(directory, { recursive: true }) }
  }
}
