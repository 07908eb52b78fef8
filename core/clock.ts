/** Time as the core and the plugins see it. Tests hand in their own; nothing else calls Date.now or setTimeout for decisions. */
export interface Clock {
  /** Milliseconds since the epoch; may step. For what is shown or stored. */
  now(): number
  /** Milliseconds from an arbitrary start; never steps. For leases, timeouts and durations. */
  monotonic(): number
  /** Resolves after `ms`, or at once, without a throw, when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => new Promise(resolve => {
    if (signal?.aborted) { resolve(); return }
    const done = () => { clearTimeout(timer); signal?.removeEventListener('abort', done); resolve() }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
  })
}
