/** Tables, bytes and times, and the server-sent events taken apart. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { blocks } from '../../cli/client.ts'
import type { ServerEvent } from '../../cli/client.ts'
import { bytes, createOutput, duration, table } from '../../cli/output.ts'
import type { Format } from '../../cli/output.ts'
import { sink } from './cli.kit.ts'

function printing (format: Format, terminal = false) {
  const [stdout, stderr] = [sink(terminal), sink(terminal)]
  return { output: createOutput(format, stdout, stderr), text: () => [stdout.text, stderr.text] }
}
const items = [{ name: 'one', tags: ['a', 'b'], size: 0 }, { name: 'three', tags: [], size: null }]
const columns = [['NAME', (item: typeof items[number]) => item.name], ['TAGS', (item: typeof items[number]) => item.tags], ['SIZE', (item: typeof items[number]) => item.size]] as const

describe('output', () => {
  it('is an aligned table for people', () => {
    const { output, text } = printing('table')
    output.rows(items, columns, 'None.')
    expect(text()).toEqual(['NAME   TAGS  SIZE\none    a, b  0\nthree  -     -\n', ''])
  })

  it('is the thing itself for programs, also when there is none', () => {
    for (const [format, whole, none] of [['json', `${JSON.stringify(items, null, 2)}\n`, '[]\n'], ['yaml', '- name: one\n  tags:\n    - a\n    - b\n  size: 0\n- name: three\n  tags: []\n  size: null\n', '[]\n']] as const) {
      const some = printing(format)
      some.output.rows(items, columns, 'None.')
      expect(some.text()).toEqual([whole, ''])
      const empty = printing(format)
      empty.output.rows([], columns, 'None.')
      expect(empty.text()).toEqual([none, ''])
    }
  })

  it('says on standard error that there is nothing', () => {
    const { output, text } = printing('table')
    output.rows([], columns, 'No machines.')
    expect(text()).toEqual(['', 'No machines.\n'])
  })

  it('shows one thing field by field', () => {
    const { output, text } = printing('table')
    output.item(items[0]!, [['Name', item => item.name], ['Nothing at all', () => ''], ['Object', () => ({ a: 1 })]])
    expect(text()[0]).toBe('Name:            one\nNothing at all:  -\nObject:          {"a":1}\n')
  })

  it('lets nothing through that moves a terminal', () => {
    const { output, text } = printing('table')
    output.rows([{ name: 'a\u001b]0;title\u0007\nb\u009b1m\u202e', tags: [], size: 1 }], columns, '')
    output.note('x\ry')
    expect(text()).toEqual(['NAME               TAGS  SIZE\na?]0;title??b?1m?  -     1\n', 'x?y\n'])
  })

  it('replaces a line of progress on a terminal, and writes only the last one elsewhere', () => {
    const [there, elsewhere] = [printing('table', true), printing('table')]
    for (const { output } of [there, elsewhere]) { output.progress('1 of 2', false); output.progress('2 of 2', true) }
    expect([there.text()[1], elsewhere.text()[1]]).toEqual(['\r\u001b[2K1 of 2\r\u001b[2K2 of 2\n', '2 of 2\n'])
  })

  it('aligns whatever it is given, leaving no blanks behind', () => {
    fc.assert(fc.property(fc.array(fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 3, maxLength: 3 }), { minLength: 1 }), rows => {
      const lines = table(rows).split('\n')
      expect(lines.pop()).toBe('')
      expect(lines.map(line => line.split(/ +/))).toEqual(rows)
      expect(lines.every(line => line === line.trimEnd())).toBe(true)
    }), { numRuns: 100 })
  })

  it('writes numbers of bytes and milliseconds for people', () => {
    expect([0, 1, 1023, 1024, 1536, 2 ** 20, 5 * 2 ** 30, 2 ** 52].map(bytes)).toEqual(['0 B', '1 B', '1023 B', '1.0 KiB', '1.5 KiB', '1.0 MiB', '5.0 GiB', '4096.0 TiB'])
    expect([0, 999, 59_999, 60_000, 200_500, 3_600_000].map(duration)).toEqual(['0 s', '0 s', '59 s', '1 min 0 s', '3 min 20 s', '60 min 0 s'])
  })
})

describe('server-sent events', () => {
  const read = async (chunks: readonly string[]): Promise<ServerEvent[]> => {
    const found: ServerEvent[] = []
    for await (const event of blocks((async function * () { yield * chunks })())) found.push(event)
    return found
  }

  it('are the same however the stream is cut', async () => {
    const event = fc.record({ event: fc.stringMatching(/^[a-z]{1,8}$/), data: fc.array(fc.stringMatching(/^[ -~]{0,20}$/), { minLength: 1, maxLength: 3 }).map(lines => lines.join('\n')), id: fc.option(fc.stringMatching(/^\d{1,5}$/), { nil: undefined }) })
    await fc.assert(fc.asyncProperty(fc.array(event), fc.array(fc.integer({ min: 1, max: 30 })), fc.boolean(), async (events, cuts, carriage) => {
      let text = events.map(({ event, data, id }) => `: comment\nevent: ${event}\n${data.split('\n').map(line => `data: ${line}`).join('\n')}\n${id === undefined ? '' : `id: ${id}\n`}\n`).join('')
      if (carriage) text = text.replaceAll('\n', '\r\n')
      const chunks: string[] = []
      for (let at = 0, index = 0; at < text.length; index++) {
        const length = cuts[index % Math.max(1, cuts.length)] ?? text.length
        chunks.push(text.slice(at, at + length))
        at += length
      }
      expect(await read(chunks)).toEqual(events)
    }), { numRuns: 200 })
  })

  it('are never half: what the stream did not end is dropped', async () => {
    expect(await read(['data: a\n\ndata: b\n'])).toEqual([{ event: 'message', data: 'a', id: undefined }])
    expect(await read(['id: 7\n\n', ': only a comment\n\n', 'retry\n\n'])).toEqual([{ event: 'message', data: '', id: '7' }])
  })
})
