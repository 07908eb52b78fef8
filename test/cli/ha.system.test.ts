/** The printed configuration with the real HAProxy and keepalived: three regions on one database, a front door beside each, and one after the other dies. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clusterOf, vipOf } from '../../cli/ha/cluster.ts'
import { renderHaproxy } from '../../cli/ha/haproxy.ts'
import { renderKeepalived } from '../../cli/ha/keepalived.ts'
import { openSession } from '../../core/database/connection.ts'
import { server } from '../kit/database.ts'
import { checkHaproxy, checkKeepalived, startKeepalived } from '../kit/frontdoor.ts'
import { until } from '../kit/wait.ts'
import { allUp, closeHouse, db, get, holders, logs, middle, nodes, oneHolder, openHouse, printed, reading, say, startDoor, startVrrp, token, vip, wait } from './house.kit.ts'
import type { Node } from './house.kit.ts'

beforeAll(openHouse, 180_000)
afterAll(closeHouse)

describe('the front door', () => {
  test('every node prints the same file for HAProxy but for the folder it was given, and a priority of its own for keepalived', () => {
    expect(new Set(nodes.map(({ door, folder }) => door.replaceAll(folder, '/run'))).size).toBe(1)
    expect(nodes.map(({ vrrp }) => /priority (\d+)/.exec(vrrp)?.[1])).toEqual(['254', '234', '214'])
    expect(nodes.map(({ vrrp }) => /interface (\S+)/.exec(vrrp)?.[1])).toEqual(['eth0', 'eth0', 'eth0'])
  })

  test('both checkers accept every kind of file', async () => {
    const [node] = nodes
    if (node === undefined) return
    const cluster = (address: (number: number) => string, vip: string) => clusterOf([1, 2, 3].map(number => ({ id: `id-${number}`, hostname: number === 2 ? 'a # "b"\n}' : `region-${number}`, roles: ['region'], addresses: [address(number)] })), vipOf(vip))
    const certificate = join(node.folder, 'bedplate.pem')
    expect((await node.namespace.exec(['sh', '-c', `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=door -days 1 -keyout ${certificate} -out ${certificate}.crt && cat ${certificate}.crt >> ${certificate}`])).code).toBe(0)
    const file = join(node.folder, 'checked')
    for (const each of [cluster(number => `10.78.0.1${number}`, `${vip}/24`), cluster(number => `2001:db8::${number}`, '2001:db8::10/64'), cluster(number => `region-${number}.example`, vip)]) {
      const at = each.vip ?? { address: vip, prefix: 24 }
      for (const options of [{}, { onVip: true, port: 8080 }, { certificate }, { certificate, onVip: true }]) {
        await writeFile(file, renderHaproxy(each, options))
        const { code, stderr } = await checkHaproxy(node.namespace, file)
        expect([code, stderr.replaceAll(/^.*could not resolve address.*$\n/gm, '')], JSON.stringify(options)).toEqual([0, expect.not.stringMatching(/WARNING|ALERT/)])
      }
      for (const options of [{}, { unicast: true }, { dns: true }, { direct: true }, { direct: true, dns: true, unicast: true, routerId: 255 }, ...at.address.includes(':') ? [] : [{ password: 's3c=ret%' }]]) {
        for (const member of each.regions) {
          await writeFile(file, renderKeepalived(each, { vip: at, node: member, interface: 'eth0', ...options }))
          expect(await checkKeepalived(node.namespace, file), JSON.stringify(options)).toEqual({ code: 0, stdout: '', stderr: '' })
        }
      }
    }
  })

  test('sends requests to every region in turn', async () => {
    const counts = new Map<string, number>()
    for (let time = 0; time < 30; time++) {
      const { stdout } = await get('/api/v1/status')
      const { hostname } = (JSON.parse(stdout) as { controller: { hostname: string } }).controller
      counts.set(hostname, (counts.get(hostname) ?? 0) + 1)
    }
    expect([...counts].sort()).toEqual([['region-1', 10], ['region-2', 10], ['region-3', 10]])
  })

  test('a region that is killed fails no read, and gets requests again when it is back', async () => {
    const [, victim] = nodes
    if (victim === undefined) return
    const seen = await reading(async () => {
      await victim.daemon.kill()
      await until(async () => (await nodes[0]?.haproxy.servers())?.[victim.name] === 'DOWN', wait)
    })
    say('a region killed', seen)
    expect(seen.failing, logs()).toBeLessThan(3)
    victim.daemon.start()
    await allUp()
    const after = await reading(() => Promise.resolve())
    expect(new Set(after.reads.map(({ region }) => region)).size).toBe(3)
  })

  test('a region that hangs is taken out, and what waited there is asked of another', async () => {
    const [, victim] = nodes
    if (victim === undefined) return
    let out = 0
    const seen = await reading(async () => {
      const began = performance.now()
      victim.daemon.signal('SIGSTOP')
      const holder = await oneHolder()
      await until(async () => (await holder.haproxy.servers())[victim.name] === 'DOWN', wait)
      out = (performance.now() - began) / 1000
    })
    victim.daemon.signal('SIGCONT')
    say(`a region stopped, out after ${out.toFixed(2)} s`, seen)
    expect(out).toBeLessThan(3)
    expect(seen.failing, logs()).toBeLessThan(3)
    await allUp()
  })

  test('a patient read that waits at a region that hangs is answered by another; a change is not done twice but ends with a sentence', async () => {
    const [, victim] = nodes
    if (victim === undefined) return
    victim.daemon.signal('SIGSTOP')
    const patient = ['-m', '20', '-w', '\\n%{http_code} %{content_type}']
    const [reads, changes] = await Promise.all([
      Promise.all(Array.from({ length: 3 }, () => get('/api/v1/status', patient))),
      Promise.all(Array.from({ length: 3 }, () => get('/api/v1/controllers/tokens', [...patient, '-H', 'Content-Type: application/json', '-d', '{}'])))
    ])
    victim.daemon.signal('SIGCONT')
    expect(reads.map(({ stdout }) => stdout.split('\n').at(-1))).toEqual(Array(3).fill('200 application/json; charset=utf-8'))
    const answers = changes.map(({ stdout }) => stdout.split('\n').at(-1) ?? '')
    expect(answers.filter(answer => answer.startsWith('201 ')).length).toBeGreaterThan(0)
    const failed = changes.filter(({ stdout }) => !/\n201 .*$/.test(stdout))
    expect(failed.length).toBeGreaterThan(0)
    for (const { stdout } of failed) {
      expect(stdout).toMatch(/\n50[23] application\/problem\+json$/)
      expect(stdout).toContain('may have been')
    }
    await allUp()
  })

  test('an event stream passes, ends with its region, and comes back from another', async () => {
    const follow = () => {
      const child = middle.spawn(['curl', '-sN', '-H', `Authorization: Bearer ${token}`, `http://${vip}/api/v1/events`], { stdio: ['ignore', 'pipe', 'ignore'] })
      const stream = { text: '', over: false, stop: () => child.kill('SIGKILL') }
      child.stdout?.on('data', part => { stream.text += String(part) })
      child.once('exit', () => { stream.over = true })
      return stream
    }
    const streams = Array.from({ length: 3 }, follow) // one at each region
    await until(() => streams.every(({ text }) => text.includes('id: ')), wait)
    const [, victim] = nodes
    victim?.daemon.signal('SIGSTOP')
    await until(() => streams.filter(({ over }) => over).length === 1, { ...wait, what: 'the stream at the region that hangs to end' })
    const again = follow()
    await until(() => again.text.includes('id: '), wait)
    expect(streams.filter(({ over }) => !over).length).toBe(2)
    victim?.daemon.signal('SIGCONT')
    for (const stream of [...streams, again]) stream.stop()
    await allUp()
  })

  test('with no region ready, those that live are asked: what they say comes through, and what can wait is done when the database is back', async () => {
    const name = db.options.database
    const access = async (allowed: boolean) => {
      const session = await openSession(server(), { database: 'postgres', user: server().user, applicationName: 'test' }, '0')
      try {
        await session.query(`alter database "${name}" allow_connections ${allowed}`)
        if (!allowed) await session.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
      } finally { await session.close() }
    }
    const holder = await oneHolder()
    await access(false)
    try {
      await until(async () => Object.values(await holder.haproxy.servers()).every(state => state !== 'UP'), { ...wait, what: 'no region to be ready' })
      expect(Object.values(await holder.haproxy.servers()).some(state => state === 'DOWN')).toBe(false)
      const { stdout } = await get('/readyz')
      expect(JSON.parse(stdout)).toMatchObject({ status: 'not ready', notReady: [expect.objectContaining({ part: 'database' })] })
      const waiting = get('/api/v1/controllers', ['-m', '20', '-w', '%{http_code}'])
      await access(true)
      expect((await waiting).stdout.slice(-3)).toBe('200')
    } finally { await access(true) }
    await allUp()
  })

  test('the node with the address loses its cable: another has the address within 3 s', async () => {
    const victim = await oneHolder()
    const seen = await reading(async () => {
      await middle.exec(['ip', 'link', 'set', victim.name, 'down'])
      await until(async () => (await holders()).some(node => node !== victim), wait)
    })
    say('the cable of the address cut', seen)
    expect(seen.failing, logs()).toBeLessThan(3)
    await middle.exec(['ip', 'link', 'set', victim.name, 'up'])
    expect(await oneHolder()).not.toBe(victim) // it does not take the address back
    await allUp()
  })

  test('HAProxy dies beside the address: the address goes where one lives', async () => {
    const victim = await oneHolder()
    const seen = await reading(async () => {
      await victim.haproxy.kill('SIGKILL')
      await until(async () => { const [one] = await holders(); return one !== undefined && one !== victim }, wait)
    })
    say('HAProxy killed', seen)
    expect(seen.failing, logs()).toBeLessThan(3)
    await startDoor(victim)
    await allUp()
  })

  test('a whole node dies: region, HAProxy and keepalived at once', async () => {
    const victim = await oneHolder()
    const seen = await reading(async () => {
      await middle.exec(['ip', 'link', 'set', victim.name, 'down'])
      await Promise.all([victim.haproxy.kill('SIGKILL'), victim.keepalived.kill('SIGKILL'), victim.daemon.kill()])
      await until(async () => (await holders()).some(node => node !== victim), wait)
    })
    say('a node killed', seen)
    expect(seen.failing, logs()).toBeLessThan(3)
    await middle.exec(['ip', 'link', 'set', victim.name, 'up'])
    victim.daemon.start()
    await until(async () => (await victim.namespace.exec(['curl', '-sf', '-m', '1', 'http://127.0.0.1:5240/readyz'])).code === 0, wait)
    await startDoor(victim)
    await startVrrp(victim)
    expect(await oneHolder()).not.toBe(victim)
    await allUp()
  })

  test('keepalived stopped in order hands the address over at once', async () => {
    const victim = await oneHolder()
    const seen = await reading(async () => {
      await victim.keepalived.stop()
      await until(async () => { const [one] = await holders(); return one !== undefined && one !== victim }, wait)
    })
    say('keepalived stopped', seen)
    expect(seen.failing, logs()).toBeLessThan(3)
    await startVrrp(victim)
    await oneHolder()
  })

  test('without multicast the nodes tell each other all the same', async () => {
    for (const node of nodes) await node.keepalived.stop()
    for (const node of nodes) node.keepalived = await startKeepalived(node.namespace, node.folder, await printed(node, ['keepalived', '--vip', `${vip}/24`, '--unicast']))
    const victim = await oneHolder()
    await victim.keepalived.kill('SIGKILL')
    await middle.exec(['ip', 'link', 'set', victim.name, 'down'])
    await until(async () => (await holders()).some(node => node !== victim), wait)
    await middle.exec(['ip', 'link', 'set', victim.name, 'up'])
    await victim.namespace.exec(['ip', 'address', 'del', `${vip}/24`, 'dev', 'eth0'])
  })

  test('without HAProxy the address leaves a region that is not ready, and one whose DNS is silent; it comes back when they are', async () => {
    for (const node of nodes) await node.keepalived.stop()
    for (const node of nodes) {
      node.keepalived = await startKeepalived(node.namespace, node.folder, await printed(node, ['keepalived', '--vip', `${vip}/24`, '--direct', '--dns']))
      node.namespace.node(join(import.meta.dirname, 'answers.ts'))
    }
    const [first, second, third] = nodes
    if (first === undefined || second === undefined || third === undefined) return
    const at = (node: Node) => until(async () => { const [one, another] = await holders(); return one === node && another === undefined }, { ...wait, what: `${node.name} to hold the address` })
    await at(first)
    expect((await middle.exec(['curl', '-s', '-m', '3', `http://${vip}:5240/livez`])).code).toBe(0)
    first.daemon.signal('SIGSTOP')
    await at(second)
    first.daemon.signal('SIGCONT')
    await at(first)
    const { stdout } = await first.namespace.exec(['ss', '-Hulpn', 'sport = :53'])
    process.kill(Number(/pid=(\d+)/.exec(stdout)?.[1]), 'SIGKILL')
    await at(second)
  })
})
