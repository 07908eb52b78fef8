/** The lab's progress on a terminal: one live line a machine; where there is no terminal, one line for each thing that happens. */
import type { Step } from './journey.ts'

const clock = (seconds: number) => `${String(Math.floor(seconds / 60)).padStart(2)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
const size = (bytes: number) => bytes === 0 ? '' : bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`

export interface Progress { step (step: Step): void, say (line: string): void, end (): void }

/** Pure: a machine's line, cut to `width`. `now` and `since` in ms. */
export function line (step: Step, began: number, since: number, now: number, width: number): string {
  const text = `${clock((now - began) / 1000)}  ${step.machine.name} ${step.machine.firmware.padEnd(4)}  ${step.stage.padEnd(13)} ${clock((now - since) / 1000)}  ${size(step.bytes).padStart(9)}  ${step.status}${step.detail === '' ? '' : `: ${step.detail}`}`
  return text.length > width ? `${text.slice(0, width - 1)}…` : text
}

export function createProgress (out: NodeJS.WriteStream): Progress {
  const began = performance.now()
  const current = new Map<string, { step: Step, since: number }>()
  let drawn = 0
  const erase = () => { if (drawn > 0) out.write(`\x1b[${drawn}A\x1b[J`); drawn = 0 }
  const draw = () => {
    erase()
    for (const { step, since } of current.values()) { out.write(`${line(step, began, since, performance.now(), out.columns ?? 120)}\n`); drawn++ }
  }
  const timer = out.isTTY ? setInterval(draw, 500) : undefined
  timer?.unref()
  return {
    step (step) {
      const before = current.get(step.machine.name)
      const since = before?.step.stage === step.stage ? before.since : performance.now()
      current.set(step.machine.name, { step, since })
      if (out.isTTY) draw(); else out.write(`${line(step, began, since, performance.now(), 500)}\n`)
    },
    say (text) { if (out.isTTY) erase(); out.write(`${clock((performance.now() - began) / 1000)}  ${text}\n`); if (out.isTTY) draw() },
    end () { clearInterval(timer); if (out.isTTY) { draw(); drawn = 0 } current.clear() }
  }
}
