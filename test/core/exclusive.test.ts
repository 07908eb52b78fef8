/** Two daemons never share a data directory. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { holderOf, holdDirectory } from '../../core/exclusive.ts'

describe('a data directory', () => {
  let directory = ''
  beforeEach(async () => { directory = await mkdtemp(join(tmpdir(), 'bedplate-hold-')) })
  afterEach(async () => { await rm(directory, { recursive: true, force: true }) })

  it('is held by one at a time, and the second is told what to do', () => {
    const release = holdDirectory(directory)
    expect(() => holdDirectory(directory)).toThrow(/another Bedplate runs on it/)
    release()
    holdDirectory(directory)()
  })
  it('is free again when its holder was killed', async () => {
    const module = JSON.stringify(join(import.meta.dirname, '../../core/exclusive.ts'))
    const holder = spawn(process.execPath, ['--input-type=module-typescript', '-e', `import { holdDirectory } from ${module}; globalThis.release = holdDirectory(${JSON.stringify(directory)}); console.log('held'); setInterval(() => {}, 1000)`], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise(resolve => holder.stdout.once('data', resolve))
    expect(() => holdDirectory(directory)).toThrow(/another Bedplate/)
    expect(await holderOf(directory)).toBe(holder.pid)
    const gone = new Promise(resolve => holder.once('exit', resolve))
    holder.kill('SIGKILL')
    await gone
    expect(await holderOf(directory)).toBeUndefined()
    holdDirectory(directory)()
    expect(await holderOf(directory)).toBeUndefined() // a lock file that nobody holds
    expect(await holderOf(join(directory, 'none'))).toBeUndefined()
  })
})
