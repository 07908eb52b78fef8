/** Whose server it is, also when its path reads differently: the daemon may be started in another mount namespace than the one that was killed, as `ip netns exec` makes one each time. */
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { serves } from '../../core/database/postmaster.ts'

test('a server of another mount namespace is known by its directory, not by its path', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-mounts-'))
  const [data, alias, other] = [join(folder, 'data'), join(folder, 'alias'), join(folder, 'other')]
  for (const path of [data, alias, other]) await mkdir(path)
  const server = spawn('unshare', ['--mount', 'sh', '-c', 'mount --bind "$1" "$2" && cd "$2" && echo there && exec sleep 60', 'sh', data, alias], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    await new Promise(resolve => server.stdout.once('data', resolve))
    expect(await serves(server.pid ?? 0, data)).toBe(true)
    expect(await serves(server.pid ?? 0, other)).toBe(false)
  } finally {
    const gone = new Promise(resolve => server.once('exit', resolve))
    server.kill('SIGKILL')
    await gone
    await rm(folder, { recursive: true })
  }
})
