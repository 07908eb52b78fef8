/** The main job as a newcomer runs it: `npm run lab -- --once --firmware both --machines 2 --json`; and with region and rack as two processes, on IPMI instead of Redfish. */
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { node, project } from './controller.ts'

interface Line { readonly name: string, readonly firmware: string, readonly state: string, readonly stages: { readonly stage: string, readonly seconds: number }[], readonly os: string, readonly address: string, readonly failure?: string }

function lab (...args: string[]): Promise<{ readonly code: number, readonly lines: Line[], readonly progress: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [join(project, 'test/lab/main.ts'), '--once', '--json', '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let progress = ''
    child.stdout.on('data', chunk => { out += String(chunk) })
    child.stderr.on('data', chunk => { progress += String(chunk) })
    child.once('error', reject)
    child.once('close', code => resolve({ code: code ?? 1, lines: out.split('\n').filter(Boolean).map(line => JSON.parse(line) as Line), progress }))
  })
}

// One machine is enough for the second: what two firmwares need of Bedplate does not depend on how many processes it is.
describe.each([
  ['one process', ['--firmware', 'both', '--machines', '2'], ['bios', 'uefi']],
  ['a region and a rack in two namespaces, on IPMI', ['--firmware', 'bios', '--machines', '1', '--split', '--bmc', 'ipmi'], ['bios']]
])('with Bedplate as %s', (name, args, firmwares) => {
  it(`takes ${firmwares.join(' and ')} from power-off to a login by SSH`, async () => {
    const { code, lines, progress } = await lab(...args)
    await mkdir(join(project, '.cache'), { recursive: true })
    await writeFile(join(project, '.cache', `lab of ${name}.txt`), `${progress}\n${lines.map(line => JSON.stringify(line)).join('\n')}\n`)
    const tail = progress.split('\n').slice(-40).join('\n')
    expect(lines.map(line => line.firmware), tail).toEqual(firmwares)
    for (const line of lines) {
      expect(line.failure, tail).toBeUndefined()
      expect(line.state).toBe('Deployed')
      expect(line.stages.map(stage => stage.stage)).toEqual(['enlisting', 'commissioning', 'allocating', 'deploying', 'login'])
      expect(line.os).toMatch(/^Debian GNU\/Linux/)
      expect(line.address).toMatch(/^10\.99\.0\.\d+$/)
    }
    expect(new Set(lines.map(line => line.address)).size).toBe(lines.length)
    for (const firmware of firmwares) expect(progress).toMatch(new RegExp(`^ +${firmware.toUpperCase()}$`, 'm'))
    expect(code, tail).toBe(0)
  })
})
