/** Sessions and addresses along a machine's way, with the real machines, network, images and power on a real database. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { newToken } from '../../../plugins/provision/transition.ts'
import { createRig, deployment, nextMac, uploadOf, type Rig } from './region.rig.ts'

let rig: Rig
let image: string
let segment: { vlanId: string, subnetId: string }
beforeAll(async () => {
  rig = await createRig()
  segment = await rig.segment('10.7.0.0/24', { gateway: '10.7.0.1' })
  image = await rig.image()
})
afterAll(() => rig?.db.drop())
/** The error of a promise that must reject. */
const failure = async (work: Promise<unknown>): Promise<BedplateError> => {
  const error: unknown = await work.then(() => undefined, (thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(BedplateError)
  return error as BedplateError
}

test('tokens are 256 bits, fit a URL, and no two are alike', () => {
  const tokens = Array.from({ length: 1000 }, newToken)
  expect(new Set(tokens).size).toBe(1000)
  for (const one of tokens) expect(one).toMatch(/^[A-Za-z0-9_-]{43}$/)
})

describe('a session', () => {
  test('is not given to a machine that was only found', async () => {
    const { id } = await rig.enlisted()
    expect(await rig.session(id)).toBeUndefined()
  })
  test('begins with commissioning, is another one each time, and ends with it', async () => {
    const { id } = await rig.enlisted()
    const tokens: string[] = []
    for (let time = 0; time < 3; time++) {
      await rig.act(id, 'commission')
      expect(await rig.session(id)).toMatchObject({ machine: id, purpose: 'commission' })
      tokens.push(await rig.token(id))
      await rig.act(id, 'abort')
      expect(await rig.session(id)).toBeUndefined()
    }
    expect(new Set(tokens).size).toBe(3)
  })
  test('is kept when the wish is repeated: the machine may have its token already', async () => {
    const { id } = await rig.enlisted()
    await rig.act(id, 'commission')
    const token = await rig.token(id)
    await rig.act(id, 'commission')
    expect(await rig.token(id)).toBe(token)
  })
  test('is there in the transaction that begins it, and gone with one that fails', async () => {
    const { id } = await rig.enlisted()
    await failure(rig.db.tx(async tx => {
      await rig.machines.act(tx, id, 'commission')
      expect(await rig.running.provides.provision.session(tx, id)).toEqual({ token: expect.any(String) as string, image: null })
      throw new BedplateError('CONFLICT', { reason: 'no' })
    }))
    expect(await rig.session(id)).toBeUndefined()
    expect((await rig.show(id)).status).toBe('New')
  })
  test('of each kind ends with failure, timeout, abort and being broken', async () => {
    for (const end of ['failed', 'timeout', 'abort', 'mark-broken'] as const) {
      const { id } = await rig.deploying(image)
      expect(await rig.session(id)).toMatchObject({ purpose: 'deploy' })
      await rig.act(id, end)
      expect(await rig.session(id), end).toBeUndefined()
    }
    for (const end of ['failed', 'timeout', 'abort', 'mark-broken'] as const) {
      const { id } = await rig.deploying(image)
      await rig.act(id, 'deployed')
      await rig.act(id, 'release')
      expect(await rig.session(id)).toMatchObject({ purpose: 'release' })
      await rig.act(id, end)
      expect(await rig.session(id), end).toBeUndefined()
    }
    for (const end of ['failed', 'timeout', 'mark-broken'] as const) {
      const { id } = await rig.enlisted()
      await rig.act(id, 'commission')
      await rig.act(id, end)
      expect(await rig.session(id), end).toBeUndefined()
    }
  })
  test('of a deployment goes on over the restart and while the system runs, and release has one of its own', async () => {
    const { id } = await rig.deploying(image)
    const token = await rig.token(id)
    await rig.act(id, 'installed')
    await rig.act(id, 'deployed')
    expect(await rig.session(id)).toMatchObject({ machine: id, token, purpose: 'deploy' })
    await rig.act(id, 'release')
    expect(await rig.token(id)).not.toBe(token)
    await rig.act(id, 'released')
    expect(await rig.session(id)).toBeUndefined()
  })
  test('of a removed machine is removed with it', async () => {
    const { id } = await rig.deploying(image)
    const machine = await rig.show(id)
    await rig.db.tx(tx => rig.machines.hooks.transition.promise(tx, { machine, from: machine.status, to: machine.status, event: 'removed' }))
    expect(await rig.session(id)).toBeUndefined()
    expect(await rig.addresses(id)).toEqual([])
  })
  test('is what the service tells, and undefined when there is none', async () => {
    const { id } = await rig.enlisted()
    const { provision } = rig.running.provides
    expect(await provision.session(rig.db, id)).toBeUndefined()
    await rig.act(id, 'commission')
    expect(await provision.session(rig.db, id)).toEqual({ token: await rig.token(id), image: null })
    expect(await provision.session(rig.db, 'nobody')).toBeUndefined()
  })
  test('begun twice at once is one session', async () => {
    const { id } = await rig.enlisted()
    await Promise.all([1, 2, 3].map(() => rig.act(id, 'commission')))
    expect(await rig.db.query('select from provision.session where machine = $1', [id])).toHaveLength(1)
  })
})

describe('an address', () => {
  test('is given for a deployment, on the subnet the machine boots from, to the interface it boots from', async () => {
    const machine = await rig.deploying(image)
    expect(await rig.addresses(machine.id)).toEqual([expect.objectContaining({ subnetId: segment.subnetId, kind: 'auto', mac: machine.interfaces[0]!.mac, owner: machine.id, hostname: machine.hostname })])
    expect((await rig.addresses(machine.id))[0]!.address).toMatch(/^10\.7\.0\.\d+$/)
  })
  test('goes back when the machine is released and Ready, not before', async () => {
    const { id } = await rig.deploying(image)
    await rig.act(id, 'deployed')
    expect(await rig.addresses(id)).toHaveLength(1)
    await rig.act(id, 'release')
    expect(await rig.addresses(id)).toHaveLength(1) // the system may still run
    await rig.act(id, 'released')
    expect(await rig.addresses(id)).toEqual([])
  })
  test('stays the same when a failed deployment is repeated', async () => {
    const { id } = await rig.deploying(image)
    const [own] = await rig.addresses(id)
    await rig.act(id, 'failed')
    await rig.act(id, 'deploy', { deployment: deployment(image) })
    expect(await rig.addresses(id)).toEqual([own])
  })
  test('of other kinds is not taken back', async () => {
    const machine = await rig.deploying(image)
    const mac = machine.interfaces[0]!.mac
    await rig.db.tx(tx => rig.network.allocate(tx, { subnetId: segment.subnetId, kind: 'sticky', mac, owner: machine.id }))
    await rig.act(machine.id, 'deployed')
    await rig.act(machine.id, 'release')
    await rig.act(machine.id, 'released')
    expect((await rig.addresses(machine.id)).map(({ kind }) => kind)).toEqual(['sticky'])
  })
  test('is not given for commissioning', async () => {
    const { id } = await rig.enlisted()
    await rig.act(id, 'commission')
    expect(await rig.addresses(id)).toEqual([])
  })
  test('machines deployed at once get different ones', async () => {
    const machines = await Promise.all([1, 2, 3, 4].map(() => rig.allocated()))
    await Promise.all(machines.map(({ id }) => rig.act(id, 'deploy', { deployment: deployment(image) })))
    const given = await Promise.all(machines.map(async ({ id }) => (await rig.addresses(id))[0]?.address))
    expect(new Set(given).size).toBe(4)
    expect(given).not.toContain(undefined)
  })
})

describe('a deployment is refused before anything has happened', () => {
  async function refused (id: string, wish: ReturnType<typeof deployment>): Promise<BedplateError> {
    const before = await rig.show(id)
    const error = await failure(rig.act(id, 'deploy', { deployment: wish }))
    expect(await rig.show(id)).toEqual(before)
    expect(await rig.session(id)).toBeUndefined()
    expect(await rig.addresses(id)).toEqual([])
    return error
  }
  test('to an image that nobody knows', async () => {
    const { id } = await rig.allocated()
    expect(await refused(id, deployment('debian-99'))).toMatchObject({ code: 'NOT_FOUND', message: 'There is no image debian-99.' })
    expect(await refused(id, deployment(''))).toMatchObject({ code: 'NOT_FOUND' })
    expect(await refused(id, deployment('1 or true'))).toMatchObject({ code: 'NOT_FOUND' })
  })
  test('to an image for another architecture', async () => {
    const arm = await rig.image({ name: 'debian-arm', architecture: 'arm64' })
    const { id, hostname } = await rig.allocated()
    expect(await refused(id, deployment(arm))).toMatchObject({ code: 'CONFLICT', message: `The image debian-arm is for arm64; ${hostname} is amd64.` })
  })
  test('to a disk the machine does not have, or one when it has none that is large enough', async () => {
    const { id } = await rig.allocated()
    expect(await refused(id, deployment(image, { disk: 'sdq' }))).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('sdq') as string })
    const mac = nextMac()
    const { id: bare } = await rig.enlisted(mac)
    await rig.act(bare, 'commission')
    await rig.says(bare).inventory(uploadOf(mac, { 'lsblk.json': '' }))
    await rig.act(bare, 'allocate')
    expect(await refused(bare, deployment(image))).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('No disk') as string })
  })
  test('of a machine that boots from where no subnet is known', async () => {
    const mac = nextMac()
    const { id } = await rig.enlisted(mac, '192.0.2.9')
    await rig.act(id, 'commission')
    await rig.says(id).inventory(uploadOf(mac), undefined, '192.0.2.9')
    await rig.act(id, 'allocate')
    expect(await refused(id, deployment(image))).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('not known on which VLAN') as string })
  })
  test('of a machine on a VLAN with IPv6 alone', async () => {
    const six = await rig.segment('fd00:7::/64')
    const mac = nextMac()
    const { id } = await rig.enlisted(mac, 'fd00:7::50')
    expect((await rig.show(id)).interfaces).toMatchObject([{ mac, vlanId: six.vlanId }])
    await rig.act(id, 'commission')
    await rig.says(id).inventory(uploadOf(mac), undefined, 'fd00:7::50')
    await rig.act(id, 'allocate')
    expect(await refused(id, deployment(image))).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('no IPv4 subnet') as string })
  })
  test('when no address is left', async () => {
    await rig.segment('10.7.9.0/30')
    const machines = []
    for (let number = 0; number < 3; number++) {
      const mac = nextMac()
      const { id } = await rig.enlisted(mac, '10.7.9.2')
      await rig.act(id, 'commission')
      await rig.says(id).inventory(uploadOf(mac), undefined, '10.7.9.2')
      await rig.act(id, 'allocate')
      machines.push(id)
    }
    for (const id of machines.slice(0, 2)) await rig.act(id, 'deploy', { deployment: deployment(image) })
    expect(await refused(machines[2]!, deployment(image))).toMatchObject({ code: 'ADDRESS_EXHAUSTED' })
    await rig.act(machines[0]!, 'deployed')
    await rig.act(machines[0]!, 'release')
    await rig.act(machines[0]!, 'released')
    await rig.act(machines[2]!, 'deploy', { deployment: deployment(image) })
    expect(await rig.addresses(machines[2]!)).toHaveLength(1)
  })
})
