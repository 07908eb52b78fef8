/** power on a rack: hands calls to the drivers. */
import { defineRack } from '../../core/plugin.ts'
import { createKept } from './kept.ts'
import { manifest } from './manifest.ts'
import { createCall, createCalls } from './rack/calls.ts'
import { createHardware } from './rack/hardware.ts'
import { createQueue } from './rack/queue.ts'
import { createScanning } from './rack/scan.ts'

export default defineRack(manifest, {
  requires: {},
  provides: {},
  setup ({ clock, config, log }) {
    const kept = createKept()
    const call = createCall({ clock, kept, queue: createQueue() })
    const calls = createCalls({ call, timeout: config.actionTimeoutSeconds * 1000 })
    const hardware = createHardware({ call })
    const scanning = createScanning({ clock, log, kept })
    return {
      provides: {},
      rpc: { ...calls, ...hardware, ...scanning },
      services: [],
      stop: () => kept.close()
    }
  }
})
