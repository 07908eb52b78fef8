/** A boot address that has just come is listened on at once, not at the next look around. */
import { expect, test } from 'vitest'
import { until } from '../../../kit/wait.ts'
import { folder, tftpServer } from '../rig.ts'

test('TFTP listens on an address as soon as it is told to look, and no more when it has gone', async () => {
  const files = await folder({ 'a.bin': Buffer.from('a') })
  const addresses = ['127.0.0.1']
  const { server } = await tftpServer(files.path, { addresses: () => addresses })
  const listening = (): string => server.listening().map(({ address }) => address).sort().join(' ')
  try {
    expect(listening()).toBe('127.0.0.1')
    addresses.push('127.0.0.2')
    server.look()
    await until(() => listening() === '127.0.0.1 127.0.0.2', { timeout: 1000 })
    addresses.pop()
    server.look()
    await until(() => listening() === '127.0.0.1', { timeout: 1000 })
  } finally {
    await server.stop()
    await files.remove()
  }
})
