/** webhook, against Debian's `webhook` (adnanh/webhook), which checks the signature and has a script keep the state in a file. */
import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { webhook } from '../../../../plugins/power/drivers/webhook.ts'
import { powerDriverConformance, type Subject } from '../../../kit/conformance/power-driver.ts'
import { requirePrograms } from '../../../kit/network.ts'
import { startRelay } from '../../../kit/relay.ts'
import { freePort } from '../../../kit/servers.ts'
import { onceEvent, until } from '../../../kit/wait.ts'

requirePrograms({ webhook: 'webhook' })
const secret = 'said to nobody, signed with'

/** Its working directory has the state, how often it was switched, and which faults it is to have. */
const script = `#!/bin/sh
machine=$1 action=$2 boot=$3
[ "$machine" = 'm1; touch injected' ] || { echo '{"message": "no such machine"}'; exit 1; }
if [ -s busy ]; then rm busy; exit 1; fi
case $action in on) wanted=on ;; off|shutdown) wanted=off ;; *) wanted=$(cat state) ;; esac
if [ "$wanted" != "$(cat state)" ] && ! [ -e lies ]; then
  [ "$action" = on ] && echo "$boot" > booted
  echo $wanted > state
  echo $wanted >> switches
fi
echo "{\\"state\\": \\"$(cat state)\\"}"
`

powerDriverConformance(webhook, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-webhook-'))
  const file = (name: string) => join(folder, name)
  const read = (name: string) => existsSync(file(name)) ? readFileSync(file(name), 'utf8').trim() : ''
  await writeFile(file('switch'), script, { mode: 0o755 })
  await writeFile(file('state'), 'off\n')
  await writeFile(file('hooks.json'), JSON.stringify([{
    id: 'power', 'http-methods': ['POST'], 'execute-command': file('switch'), 'command-working-directory': folder, 'include-command-output-in-response': true,
    'pass-arguments-to-command': ['machine', 'action', 'boot'].map(name => ({ source: 'payload', name })),
    'trigger-rule': { or: [{ match: { type: 'payload-hmac-sha256', secret, parameter: { source: 'header', name: 'X-Bedplate-Signature' } } }] },
    'trigger-rule-mismatch-http-response-code': 401, 'trigger-signature-soft-failures': true
  }]))
  const port = await freePort()
  const program = spawn('webhook', ['-hooks', file('hooks.json'), '-ip', '127.0.0.1', '-port', String(port), '-nopanic'], { stdio: 'ignore' })
  await until(() => fetch(`http://127.0.0.1:${port}/`), { what: 'webhook to answer' })
  const relay = await startRelay({ host: '127.0.0.1', port })
  const parameters = { address: `webhook+http://127.0.0.1:${relay.port}/hooks/power`, secret, machine: 'm1; touch injected' }
  return {
    parameters,
    pace: { request: 2_000, settle: 500 }, // each request starts a shell
    machine: {
      state: () => read('state') === 'on' ? 'on' : 'off',
      set: state => { writeFileSync(file('state'), `${state}\n`) },
      switches: () => read('switches').split('\n').filter(Boolean).length,
      bootedFrom: () => { const boot = read('booted'); return boot === 'network' || boot === 'disk' ? boot : null }
    },
    faults: {
      wrongCredentials: { ...parameters, secret: 'something else altogether' },
      unreachable: { ...parameters, address: 'webhook+http://127.0.0.1:9/hooks/power' },
      busy: times => { appendFileSync(file('busy'), 'x'.repeat(times)) },
      lie: () => { writeFileSync(file('lies'), '') },
      slow: ms => { relay.delay = ms },
      loseAnswer: () => { relay.lose = said => { if (!said.includes('"action":"on"')) return false; relay.lose = () => false; return true } }
    },
    async close () {
      await relay.close()
      const ended = onceEvent(program, 'exit')
      program.kill()
      await ended
      if (existsSync(file('injected'))) throw new Error('a machine\'s name was run as a command')
      await rm(folder, { recursive: true, force: true })
    }
  } satisfies Subject
})
