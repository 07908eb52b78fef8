/** What the scripts of our images say to a rack, and for how long: run here with the tools that would wait or ask replaced. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const inImage = (path: string): string => fileURLToPath(new URL(`../../../../plugins/images/build/root/${path}`, import.meta.url))
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bedplate-scripts-'))
  await mkdir(join(folder, 'bin'))
  await writeFile(join(folder, 'now'), '1000') // seconds
  await tool('sleep', 'pass "$1"')
  await tool('date', 'cat "$FOLDER/now"')
  await tool('cut', 'cat "$FOLDER/now"') // of /proc/uptime
})
afterEach(() => rm(folder, { recursive: true }))

/** A tool of that name comes before the real one; `pass` lets seconds go by. */
async function tool (name: string, body: string): Promise<void> {
  await writeFile(join(folder, 'bin', name), `#!/bin/sh\npass () { echo $(($(cat "$FOLDER/now") + $1)) > "$FOLDER/now"; }\n${body}\n`)
  await chmod(join(folder, 'bin', name), 0o755)
}
const execute = async (...command: string[]): Promise<void> => {
  await run('sh', command, { timeout: 30_000, env: { PATH: `${join(folder, 'bin')}:${process.env.PATH ?? ''}`, FOLDER: folder, BEDPLATE_URL: 'http://rack/provision/tok' } })
}
const said = async (): Promise<string[]> => (await readFile(join(folder, 'said'), 'utf8')).trim().split('\n')
const elapsed = async (): Promise<number> => Number(await readFile(join(folder, 'now'), 'utf8')) - 1000

describe('report', () => {
  /** A rack that takes the request and says nothing until the client leaves. */
  const hanging = 'echo "$*" >> "$FOLDER/said"; while [ $# -gt 0 ]; do [ "$1" != --max-time ] || pass "$2"; shift; done; printf 000; exit 28'
  const report = (status: string) => execute(inImage('usr/lib/bedplate/report'), 'system', status, 'hello')

  test('started, to a rack that hangs: several tries, a minute in all, and the deployment goes on', async () => {
    await tool('curl', hanging)
    await report('started')
    expect((await said()).length).toBeGreaterThan(3)
    expect(await elapsed()).toBeGreaterThan(45)
    expect(await elapsed()).toBeLessThanOrEqual(60)
  })
  test('started, to a rack that refuses at once or does not know the session: a minute as well', async () => {
    for (const code of ['000', '404', '503']) {
      await writeFile(join(folder, 'now'), '1000')
      await tool('curl', `printf ${code}`)
      await report('started')
      expect(await elapsed()).toBeLessThanOrEqual(60)
    }
  })
  test('ok is told again for as long as it takes', async () => {
    await tool('curl', 'echo x >> "$FOLDER/said"; if [ "$(wc -l < "$FOLDER/said")" -lt 100 ]; then printf 202; else printf 204; fi')
    await report('ok')
    expect(await said()).toHaveLength(100)
  })
})

describe('the initrd', () => {
  const initrd = (script: string) => execute('-c', `. ${inImage('usr/share/initramfs-tools/scripts/bedplate')}; bedplate_url=$BEDPLATE_URL; ${script}`)
  /** busybox's: an answer that is an error ends it with 1. */
  const wget = (answers: string) => tool('wget', `for url; do :; done; echo "$url" >> "$FOLDER/said"; ${answers}`)

  test('its failure is told until a region has stored it, with the two minutes it has', async () => {
    await tool('poweroff', ':')
    await wget('[ "$(wc -l < "$FOLDER/said")" -ge 3 ]')
    await initrd('bedplate_fail "It broke"')
    expect(await said()).toEqual(new Array(3).fill('http://rack/provision/tok/report?until=stored'))
    expect(await elapsed()).toBeGreaterThanOrEqual(120)
  })
  test('what is no failure needs only to have reached the rack', async () => {
    await wget(':')
    for (const status of ['started', 'progress', 'ok']) await initrd(`bedplate_report ${status} hello`)
    expect(new Set(await said())).toEqual(new Set(['http://rack/provision/tok/report']))
  })
})
