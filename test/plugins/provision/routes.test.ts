/** What machines fetch and post at their rack, over real HTTP. */
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { archive, realTar } from './archive.ts'
import { enlist, rackHalf, session } from './rack.rig.ts'

let rack: Awaited<ReturnType<typeof rackHalf>>
beforeAll(async () => { rack = await rackHalf() })
afterAll(() => rack.close())
const apply = (...entries: Parameters<typeof rack.running.apply & {}>[0]['put'][number][]) => { rack.running.apply!({ put: entries, remove: [] }, true) }
beforeEach(() => {
  rack.reports.length = 0
  rack.faults.length = 0
  apply(enlist, session('tok'), session('other', { machine: 'm2' }))
})
const over = 'This session is over. Nothing is to be done here.\n'
const strange = 'This rack knows no such session; it may not have heard of it yet, or it is over.\n'
const kept = 'This rack keeps it, and no region has stored it yet. Say it again: where it counts, it counts once.\n'
const form = (fields: Record<string, string>) => new URLSearchParams(fields)
const last = () => { expect(rack.faults).toEqual([]); return rack.reports.at(-1) }
const nothing = () => { expect(rack.reports).toEqual([]) }

describe('scripts and metadata', () => {
  test('each token gets its own script, as text', async () => {
    expect(await rack.get('/tok/script')).toEqual({ status: 200, type: 'text/plain; charset=utf-8', text: 'set -eu\necho tok\n' })
    expect((await rack.get('/other/script')).text).toBe('set -eu\necho other\n')
  })
  test.each([['meta-data', '{"instance-id":"m1"}\n'], ['user-data', '#cloud-config\n{}\n'], ['vendor-data', '#cloud-config\nvendor: ü\n'], ['network-config', '{"version":2}\n']])('%s is text/yaml, as the region wrote it', async (name, text) => {
    expect(await rack.get(`/tok/${name}`)).toEqual({ status: 200, type: 'text/yaml; charset=utf-8', text })
  })
  test.each(['script', 'meta-data', 'user-data', 'vendor-data', 'network-config'])('%s of a token nobody has is 404, with a sentence for the console', async name => {
    expect(await rack.get(`/nobody/${name}`)).toEqual({ status: 404, type: 'text/plain; charset=utf-8', text: strange })
  })
  test.each(['__proto__', 'constructor', 'toString', 'to%6b%00', '%2e%2e', 'TOK', 'tok%20'])('%s is a token nobody has', async token => { expect((await rack.get(`/${token}/script`)).status).toBe(404) })
  test('a token longer than any is refused', async () => { expect((await rack.get(`/${'t'.repeat(101)}/script`)).status).toBe(400) })
  test('a machine nobody knows gets the enlistment, and none of the metadata', async () => {
    expect(await rack.get('/enlist/script')).toEqual({ status: 200, type: 'text/plain; charset=utf-8', text: 'echo enlist\n' })
    for (const name of ['meta-data', 'user-data', 'vendor-data', 'network-config']) expect((await rack.get(`/enlist/${name}`)).status).toBe(404)
  })
  test('before any region was heard it is asked to come again', async () => {
    apply()
    expect(await rack.get('/enlist/script')).toMatchObject({ status: 503, text: 'This rack has not heard from a region yet.\n' })
  })
  test('tokens are listed nowhere', async () => { for (const path of ['', '/', '/tok', '/tok/', '/script']) expect((await rack.get(path)).status).toBe(404) })
  test('asking changes and reports nothing', async () => { await rack.get('/tok/script'); await rack.get('/tok/user-data'); nothing() })
})

describe('what the region last said', () => {
  test('a session that was removed is over at once; the others go on', async () => {
    rack.running.apply!({ put: [], remove: [{ kind: 'session', id: 'tok' }] }, false)
    expect(await rack.get('/tok/script')).toEqual({ status: 410, type: 'text/plain; charset=utf-8', text: over })
    expect((await rack.get('/other/script')).status).toBe(200)
    expect((await rack.get('/enlist/script')).status).toBe(200)
  })
  test('a session that was changed is served as changed; one that is new is added', async () => {
    rack.running.apply!({ put: [session('tok', { script: 'new\n' }), session('third')], remove: [] }, false)
    expect((await rack.get('/tok/script')).text).toBe('new\n')
    expect((await rack.get('/third/script')).status).toBe(200)
    expect((await rack.get('/other/script')).status).toBe(200)
  })
  test('a whole leaves nothing of what was before', async () => {
    apply(session('fresh'))
    expect((await rack.get('/tok/script')).status).toBe(410)
    expect((await rack.get('/enlist/script')).status).toBe(503)
    expect((await rack.get('/fresh/script')).status).toBe(200)
  })
  test('the enlistment can be taken back', async () => {
    rack.running.apply!({ put: [], remove: [{ kind: 'enlist', id: 'enlist' }] }, false)
    expect((await rack.get('/enlist/script')).status).toBe(503)
  })
})

describe('reports', () => {
  test.each([['started', 204, ''], ['progress', 202, kept], ['ok', 204, ''], ['failed', 204, '']])('%s is handed on with machine, token and address, and answered %i', async (status, code, text) => {
    expect(await rack.post('/tok/report', form({ stage: 'system', status, message: 'writing', done: '5', total: '10' }))).toMatchObject({ status: code, text })
    expect(last()).toEqual({ kind: 'report', body: { token: 'tok', machine: 'm1', address: '127.0.0.1', stage: 'system', status, message: 'writing', done: 5, total: 10 } })
  })
  test('the machine is the session\'s, whatever the form says', async () => {
    await rack.post('/other/report', form({ stage: 'system', status: 'ok', message: '', machine: 'm1', token: 'tok' }))
    expect(last()?.body).toMatchObject({ token: 'other', machine: 'm2' })
  })
  test.each([['', ''], ['many', '-1'], ['1.5', '1e9'], ['9'.repeat(16), '0x10']])('amounts %j and %j are left out', async (done, total) => {
    await rack.post('/tok/report', form({ stage: 'system', status: 'progress', message: '', done, total }))
    expect(Object.keys(last()!.body)).toEqual(['token', 'machine', 'address', 'stage', 'status', 'message'])
  })
  test('the name the machine gave a report is handed on, unless it is none', async () => {
    await rack.post('/tok/report', form({ stage: 'system', status: 'ok', id: 'f00d-1' }))
    expect(last()?.body.id).toBe('f00d-1')
    for (const id of ['', 'two words', 'x'.repeat(65), 'ü']) {
      await rack.post('/tok/report', form({ stage: 'system', status: 'ok', id }))
      expect(last()?.body).not.toHaveProperty('id')
    }
  })
  test('a message is optional, cut at 2,000 characters, and such as a database keeps', async () => {
    await rack.post('/tok/report', form({ stage: 'system', status: 'ok' }))
    expect(last()?.body.message).toBe('')
    await rack.post('/tok/report', form({ stage: 'system', status: 'ok', message: `a\0b${'x'.repeat(1997)}😀${'y'.repeat(50)}` }))
    expect(last()?.body.message).toBe(`ab${'x'.repeat(1997)}\ufffd`)
  })
  test.each([
    ['no status', { stage: 'system' }], ['no stage', { status: 'ok' }], ['another status', { stage: 'system', status: 'done' }], ['a stage of many words', { stage: 'two words', status: 'ok' }], ['a stage like a path', { stage: '../x', status: 'ok' }],
    ['a long stage', { stage: 'a'.repeat(42), status: 'ok' }], ['an upper-case stage', { stage: 'System', status: 'ok' }], ['nothing', {}]
  ])('%s is refused', async (_, fields) => {
    expect(await rack.post('/tok/report', form(fields))).toMatchObject({ status: 400, code: 'INVALID_REQUEST' })
    nothing()
  })
  test('over a session that is over nothing is handed on', async () => {
    expect(await rack.post('/nobody/report', form({ stage: 'system', status: 'ok', message: '' }))).toMatchObject({ status: 404, text: strange })
    nothing()
  })
  test('of a machine nobody knows are taken and forgotten', async () => {
    expect((await rack.post('/enlist/report', form({ stage: 'inventory', status: 'failed', message: 'no tar' }))).status).toBe(204)
    nothing()
  })
  test.each([['JSON', '{"stage":"a","status":"ok"}', 'application/json', 400], ['text', 'stage=a&status=ok', 'text/plain', 400], ['XML', '<a/>', 'application/xml', 415], ['a tar', 'x', 'application/x-tar', 400]])('%s instead of a form is a problem', async (_, body, type, status) => {
    const answer = await rack.post('/tok/report', body, type)
    expect(answer).toMatchObject({ status, type: expect.stringContaining('application/problem+json') as string })
    nothing()
  })
  test('nothing instead of a form is a problem', async () => { expect(await rack.post('/tok/report', undefined)).toMatchObject({ status: 400, code: 'INVALID_REQUEST' }) })
  test('a form larger than 64 KiB is refused', async () => {
    expect(await rack.post('/tok/report', form({ stage: 'a', status: 'ok', message: 'x'.repeat(70_000) }))).toMatchObject({ status: 413, code: 'BODY_TOO_LARGE' })
    nothing()
  })
  test('whatever is posted, it is taken or refused, and what is handed on fits its schema', async () => {
    await fc.assert(fc.asyncProperty(fc.constantFrom('/tok/report', '/tok/phone-home', '/enlist/report'), fc.string({ unit: 'binary', maxLength: 200 }), fc.dictionary(fc.constantFrom('stage', 'status', 'message', 'done', 'total', 'pub_key_rsa'), fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.constantFrom('ok', 'failed', 'system', '10'))), fc.boolean(), async (path, raw, fields, formed) => {
      const { status } = await rack.post(path, formed ? form(fields) : raw, 'application/x-www-form-urlencoded')
      expect([202, 204, 400]).toContain(status)
    }), { numRuns: 150 })
    expect(rack.faults).toEqual([])
    expect(rack.reports.every(({ body }) => !JSON.stringify(body).includes('\\u0000'))).toBe(true)
  })
})

describe('inventories', () => {
  const tar = 'application/x-tar'
  test('of a session are handed on as the fact inventory', async () => {
    expect((await rack.post('/tok/inventory', new Uint8Array(await realTar({ architecture: 'x86_64\n', dmi: '' })), tar)).status).toBe(204)
    expect(last()).toEqual({ kind: 'inventory', body: { token: 'tok', machine: 'm1', address: '127.0.0.1', files: { architecture: 'x86_64\n', dmi: '' } } })
  })
  test('of a machine nobody knows as the fact enlisted, also while no region was heard', async () => {
    apply()
    expect((await rack.post('/enlist/inventory', new Uint8Array(await realTar({ architecture: 'x86_64\n' })), tar)).status).toBe(204)
    expect(last()).toEqual({ kind: 'enlisted', body: { address: '127.0.0.1', files: { architecture: 'x86_64\n' } } })
  })
  test('over a session that is over nothing is handed on', async () => {
    expect(await rack.post('/nobody/inventory', new Uint8Array(archive({ name: 'a' })), tar)).toMatchObject({ status: 404, text: strange })
    nothing()
  })
  test.each(['tok', 'enlist'])('what is no tar is refused (%s)', async token => {
    expect(await rack.post(`/${token}/inventory`, 'x'.repeat(1000), tar)).toMatchObject({ status: 400, code: 'INVALID_REQUEST', text: expect.stringContaining('no tar archive') as string })
    expect(await rack.post(`/${token}/inventory`, new Uint8Array(archive(...Array.from({ length: 65 }, (_, index) => ({ name: `f${index}` })))), tar)).toMatchObject({ status: 400, text: expect.stringContaining('more than 64 files') as string })
    nothing()
  })
  test.each([['application/json', '{}', 400], ['application/x-www-form-urlencoded', 'a=b', 400], ['text/plain', 'x', 400], ['application/gzip', 'x', 415], ['application/octet-stream', 'x', 415]])('as %s is a problem', async (type, body, status) => {
    expect(await rack.post('/enlist/inventory', body, type)).toMatchObject({ status, type: expect.stringContaining('application/problem+json') as string })
    nothing()
  })
  test('one larger than Fastify\'s own limit is taken; over 8 MiB it is refused', async () => {
    const of = (size: number) => new Uint8Array(archive({ name: 'lshw.json', content: Buffer.alloc(size, 0x78) }))
    expect((await rack.post('/tok/inventory', of(2 << 20), tar)).status).toBe(204)
    expect((last()?.body.files as Record<string, string>)['lshw.json']).toHaveLength(2 << 20)
    expect(await rack.post('/tok/inventory', of(9 << 20), tar)).toMatchObject({ status: 413, code: 'BODY_TOO_LARGE' })
    expect(rack.reports).toHaveLength(1)
  })
  test.each([['control characters, six to one in JSON', 0x01], ['bytes that are no UTF-8, three to one', 0xff], ['letters', 0x78]])('eight MiB of %s never become a fact larger than a frame of the link', async (_, byte) => {
    for (const token of ['tok', 'enlist']) expect(await rack.post(`/${token}/inventory`, new Uint8Array(archive({ name: 'a', content: Buffer.alloc(7 << 20, byte) })), tar)).toMatchObject({ status: 413, code: 'BODY_TOO_LARGE' })
    nothing()
  })
  test('what is just taken fits a frame, however it is spelled', async () => {
    for (const byte of [0x01, 0xff, 0x78]) await rack.post('/enlist/inventory', new Uint8Array(archive({ name: 'a', content: Buffer.alloc(500 << 10, byte) })), tar)
    expect(rack.reports).toHaveLength(3)
    for (const { body } of rack.reports) expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThan(12 << 20)
  })
})

describe('phone-home', () => {
  const ed25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4vS root@otter'
  const rsa = `ssh-rsa ${'A'.repeat(720)}= root@otter`
  test('as cloud-init sends it: the keys, without their line ends', async () => {
    expect((await rack.post('/tok/phone-home', form({ pub_key_rsa: `${rsa}\n`, pub_key_ecdsa: 'N/A', pub_key_ed25519: `${ed25519}\n`, instance_id: 'm1-5', hostname: 'otter', fqdn: 'otter' }))).status).toBe(204)
    expect(last()).toEqual({ kind: 'phoneHome', body: { token: 'tok', machine: 'm1', address: '127.0.0.1', hostKeys: [rsa, ed25519] } })
  })
  test('without any key it still says that the system runs', async () => {
    expect((await rack.post('/tok/phone-home', form({ instance_id: 'm1' }))).status).toBe(204)
    expect(last()?.body.hostKeys).toEqual([])
  })
  test.each([['a second line', `${ed25519}\nssh-rsa AAAA evil`], ['NUL', 'ssh-ed25519 AAAA\0'], ['an escape', 'ssh-ed25519 AAAA \u001b[2J'], ['markup', '<script>'], ['options before it', `command="x" ${ed25519}`], ['too long a key', `ssh-rsa ${'A'.repeat(9000)}`], ['letters beyond ASCII', 'ssh-ed25519 AAAA ü']])('a key with %s is left out', async (_, key) => {
    await rack.post('/tok/phone-home', form({ pub_key_rsa: key, pub_key_ed25519: ed25519 }))
    expect(last()?.body.hostKeys).toEqual([ed25519])
  })
  test('fields of other names are no keys, and no more than 16 are kept', async () => {
    await rack.post('/tok/phone-home', form({ ssh_key: ed25519, xpub_key_rsa: ed25519, ...Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`pub_key_${index}`, `${ed25519}${index}`])) }))
    expect(last()?.body.hostKeys).toEqual(Array.from({ length: 16 }, (_, index) => `${ed25519}${index}`))
  })
  test.each(['nobody', 'enlist'])('from %s nothing is handed on', async token => {
    expect((await rack.post(`/${token}/phone-home`, form({ pub_key_ed25519: ed25519 }))).status).toBe(404)
    nothing()
  })
  test('something that is no form is refused', async () => { expect(await rack.post('/tok/phone-home', '{}', 'application/json')).toMatchObject({ status: 400, code: 'INVALID_REQUEST' }) })
})

test('a way that is not there is named: the wrong method, the wrong page', async () => {
  expect(await rack.post('/tok/script', form({}))).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' })
  expect(await rack.get('/tok/report')).toMatchObject({ status: 405 })
  expect(await rack.get('/tok/secrets')).toMatchObject({ status: 404, type: expect.stringContaining('problem+json') as string })
})

test('an IPv4 machine at a socket for both families is told by its IPv4 address', async () => {
  const both = await rackHalf('::')
  both.running.apply!({ put: [session('tok')], remove: [] }, true)
  await fetch(`${both.base.replace('[::]', '127.0.0.1')}/tok/report`, { method: 'POST', body: form({ stage: 'a', status: 'ok' }) })
  await fetch(`${both.base.replace('[::]', '[::1]')}/tok/report`, { method: 'POST', body: form({ stage: 'a', status: 'ok' }) })
  expect(both.reports.map(({ body }) => body.address)).toEqual(['127.0.0.1', '::1'])
  await both.close()
})
