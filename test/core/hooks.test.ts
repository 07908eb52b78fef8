/** The core's hooks: observers that fail do not hinder the others; the first answer to a question counts. */
import { expect, test } from 'vitest'
import { createHooks } from '../../core/hooks.ts'

test.each(['tap', 'tapAsync', 'tapPromise'] as const)('an observer (%s) that throws is told, and the others hear all the same', async kind => {
  const failures: [string, string][] = []
  const heard: boolean[] = []
  const { link } = createHooks((error, observer) => { failures.push([observer, String(error)]) })
  const throwing = () => { throw new RangeError('no') }
  if (kind === 'tap') link.tap('bad', throwing)
  else if (kind === 'tapAsync') link.tapAsync('bad', (_link, done) => done(new RangeError('no')))
  else link.tapPromise('bad', async () => throwing())
  link.tap('good', ({ up }) => { heard.push(up) })
  link.tapAsync('later', ({ up }, done) => { setImmediate(() => { heard.push(up); done() }) })
  link.tapPromise('promised', async ({ up }) => { heard.push(up) })
  await link.promise({ controller: 'a', up: true })
  expect(heard).toEqual([true, true, true])
  expect(failures).toEqual([['bad', 'RangeError: no']])
})

test('the first answer to who is asking counts', async () => {
  const { authenticate } = createHooks()
  const known = (name: string) => ({ id: name, name, scopes: [] })
  authenticate.tap('silent', () => undefined)
  authenticate.tapPromise('first', async () => known('first'))
  authenticate.tap('second', () => known('second'))
  expect(await authenticate.promise({ authorization: undefined, address: '' })).toEqual(known('first'))
})
