/** Reading apt's sources in both notations. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ofRelease, parseDeb822, parseList, sourceLine } from '../../../../plugins/images/build/sources.ts'

const deb822 = `# the main archive
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main
`

describe('deb822', () => {
  test('every address with every suite, of stanzas that are on and have binaries', () => {
    expect(parseDeb822(deb822).map(source => `${source.uri} ${source.suite} ${source.components.join('+')} ${source.signedBy}`)).toEqual([
      'http://mirror.example/debian bookworm main+contrib /usr/share/keyrings/debian-archive-keyring.gpg',
      'http://mirror.example/debian bookworm-updates main+contrib /usr/share/keyrings/debian-archive-keyring.gpg',
      'http://mirror.example/debian-security bookworm-security main null'
    ])
  })

  test('a field may go over several lines, with comments between them', () => {
    expect(parseDeb822('Types: deb\nURIs:\n http://one.example/\n# not this\n http://two.example/\nSuites: trixie\nComponents: main').map(({ uri }) => uri)).toEqual(['http://one.example/', 'http://two.example/'])
  })
})

describe('sources.list', () => {
  test('deb lines with and without options; not deb-src, not comments', () => {
    const text = 'deb http://mirror.example/debian bookworm main # why\ndeb-src http://mirror.example/debian bookworm main\n#deb http://other.example/ bookworm main\n  deb [arch=amd64 signed-by=/k.gpg] https://m.example/debian bookworm-updates main non-free'
    expect(parseList(text)).toEqual([
      { uri: 'http://mirror.example/debian', suite: 'bookworm', components: ['main'], signedBy: null },
      { uri: 'https://m.example/debian', suite: 'bookworm-updates', components: ['main', 'non-free'], signedBy: '/k.gpg' }
    ])
  })
})

describe('what is used of them', () => {
  const source = (suite: string, components = ['main']) => ({ uri: 'http://user:secret@mirror.example/debian', suite, components, signedBy: null })
  test('the release, its updates and its security fixes; not another publisher, release or component', () => {
    const all = [source('bookworm'), source('bookworm-security'), source('trixie'), source('nodistro'), source('bookwormish'), source('bookworm', ['nvidia'])]
    expect(ofRelease(all, 'bookworm').map(({ suite }) => suite)).toEqual(['bookworm', 'bookworm-security'])
  })

  test('credentials reach the build and never the image', () => {
    expect(sourceLine(source('bookworm'), 'keep')).toBe('deb http://user:secret@mirror.example/debian bookworm main')
    expect(sourceLine({ ...source('bookworm'), signedBy: '/k.gpg' }, 'drop')).toBe('deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main')
  })

  test('a line that is written can be read again', () => {
    const word = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,20}$/)
    fc.assert(fc.property(word, word, fc.option(word), (host, suite, key) => {
      const written = { uri: `http://${host}/debian`, suite, components: ['main'], signedBy: key === null ? null : `/${key}` }
      expect(parseList(sourceLine(written, 'keep'))).toEqual([written])
    }), { numRuns: 200 })
  })

  test('no text is refused', () => {
    fc.assert(fc.property(fc.string({ maxLength: 300, unit: 'binary' }), text => { parseList(text); parseDeb822(text) }), { numRuns: 200 })
  })
})
