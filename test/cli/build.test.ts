/** `bedplate image build`: what it asks of the builder, what it tells meanwhile, and what it says when it cannot be. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildDirectory, missingPackages, proofs } from '../../cli/build.ts'
import type { Build } from '../../cli/build.ts'
import { BedplateError } from '../../core/errors.ts'
import { buildPackages } from '../../plugins/images/build/packages.ts'
import type { ImageRequest } from '../../plugins/images/build/debian.ts'
import { openBench, run } from './cli.kit.ts'
import { writeImage } from './image.kit.ts'

let home: string
let image: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'cli-'))
  image = join(home, 'image')
  await writeImage(image)
})
afterAll(async () => { await rm(home, { recursive: true, force: true }) })

/** A builder that has the image already, and what it was asked for. */
function builder (): { readonly asked: ImageRequest[], readonly build: Build } {
  const asked: ImageRequest[] = []
  return { asked, async build (request) { asked.push(request); request.progress?.('1 s  unpacking'); request.progress?.('2 s  packing'); return image } }
}
const failing = (error: unknown): Build => async () => { throw error }

describe('a build', () => {
  it('is of the host\'s own release, for real machines, into the cache, unless told otherwise', async () => {
    const { asked, build } = builder()
    const env = { XDG_CACHE_HOME: '/cache' }
    await run('image build', { env, build })
    await run('image build debian-12 --flavour cloud --directory /elsewhere', { env, build })
    expect(asked.map(({ directory, architecture, flavour, release }) => ({ directory, architecture, flavour, release }))).toEqual([
      { directory: '/cache/bedplate/images', architecture: 'amd64', flavour: 'metal', release: undefined }, { directory: '/elsewhere', architecture: 'amd64', flavour: 'cloud', release: 'bookworm' }
    ])
  })

  it('tells its progress, and then the folder and what to do with it', async () => {
    const { code, out, err } = await run('image build', { build: builder().build })
    expect({ code, out, err }).toEqual({ code: 0, out: `The image is in ${image}. Bring it in: bedplate image import ${image}\n`, err: '1 s  unpacking\n2 s  packing\n' })
    expect(JSON.parse((await run('image build -o json', { build: builder().build })).out)).toEqual({ folder: image })
  })

  it('keeps to one line on a terminal, and leaves it behind', async () => {
    expect((await run('image build', { build: builder().build, terminal: true })).err).toBe('\r\u001b[2K1 s  unpacking\r\u001b[2K2 s  packing\n')
  })

  it('imports what it has built, when asked to', async () => {
    const bench = await openBench()
    try {
      const { code, out } = await bench.bedplate('image build --import', { build: builder().build })
      expect([code, out]).toEqual([0, expect.stringMatching(/^Image debian-13 is imported, id \S+\.\n$/)])
      expect(await bench.json('image list')).toMatchObject([{ name: 'debian-13' }])
    } finally { await bench.close() }
  })
})

describe('what cannot be built', () => {
  it('is not begun when it is to be imported and no region answers', async () => {
    const { asked, build } = builder()
    expect(await run('image build --import --url http://127.0.0.1:1', { build })).toMatchObject({ code: 1, err: expect.stringContaining('[UNREACHABLE]') })
    expect(asked).toEqual([])
  })

  it('is refused before anything is done when nobody knows how', async () => {
    const { asked, build } = builder()
    expect(await run('image build windows', { build })).toEqual({ code: 2, out: '', err: 'bedplate: There is no recipe for windows; there are debian, debian-12, debian-13 (debian: the release of this host).\n' })
    expect((await run('image build toString', { build })).code).toBe(2)
    expect((await run('image build --flavour sour', { build })).code).toBe(2)
    expect(asked).toEqual([])
  })

  it('names the program that is missing, with the command that brings it', async () => {
    expect((await run('image build', { build: failing(new BedplateError('PROGRAM_MISSING', { program: 'mmdebstrap', remedy: 'apt-get install mmdebstrap' })) })).err).toMatch(/mmdebstrap is not installed.*apt-get install mmdebstrap \[PROGRAM_MISSING\]\n$/)
    expect(await missingPackages({ here: import.meta.filename, gone: '/nonexistent/a', 'gone-too': '/nonexistent/b' })).toEqual(['gone', 'gone-too'])
    expect(Object.keys(proofs).sort()).toEqual([...buildPackages].sort())
  })

  it('says why, not as if it were about an import', async () => {
    expect(await run('image build', { build: failing(new BedplateError('IMAGE_INVALID', { reason: 'mmdebstrap ended with 1: no mirror' })) })).toEqual({ code: 1, out: '', err: 'bedplate: The image was not built: mmdebstrap ended with 1: no mirror [IMAGE_INVALID]\n' })
  })

  it('is left when interrupted', async () => {
    const interrupt = new AbortController()
    const interrupted: Build = async ({ signal }) => { interrupt.abort(); signal?.throwIfAborted(); return image }
    expect(await run('image build', { build: interrupted, signal: interrupt.signal })).toEqual({ code: 1, out: '', err: 'bedplate: Interrupted.\n' })
  })
})

it('works where a cache belongs', () => {
  expect(buildDirectory({ XDG_CACHE_HOME: '/c', BEDPLATE_DATA_DIRECTORY: '/d' })).toBe('/c/bedplate/images')
  expect(buildDirectory({ BEDPLATE_DATA_DIRECTORY: '/d' })).toBe('/d/built-images')
  expect(buildDirectory({ XDG_CACHE_HOME: '' })).toBe('/var/cache/bedplate/images')
})
