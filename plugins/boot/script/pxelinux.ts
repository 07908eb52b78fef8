/** What PXELINUX is told to do, and firmware that reads its configuration by itself (OPAL's petitboot, s390x). Pure. */
import type { Task, Where } from './task.ts'
import { filled } from './template.ts'

/** Names are paths on the server the configuration came from. PXELINUX repeats downloads by itself; what fails nevertheless starts the firmware over. */
export function pxelinuxConfiguration (task: Task, where: Where): string {
  switch (task.kind) {
    case 'boot': {
      const options = task.options.join(' ')
      if (task.files.templates?.pxelinux !== undefined) return filled(task.files.templates.pxelinux, task, where, options)
      return lines([`SAY Bedplate: ${task.title}`, 'DEFAULT bedplate', 'PROMPT 0', 'ONERROR again', 'LABEL bedplate', `  KERNEL ${task.kernel}`, `  INITRD ${task.initrd}`, `  APPEND ${options}`, ...again])
    }
    case 'local': return lines([`SAY Bedplate: ${task.title}`, 'DEFAULT disk', 'PROMPT 0', 'LABEL disk', '  LOCALBOOT -1'])
    case 'poweroff': return lines([`SAY Bedplate: ${task.title}`, 'DEFAULT off', 'PROMPT 0', 'ONERROR again', 'LABEL off', '  COM32 poweroff.c32', ...again])
    // a prompt is the only thing that waits: ten seconds (in tenths), then the firmware starts over
    case 'wait': return lines([...task.sentences.map(sentence => `SAY Bedplate: ${sentence}`), 'DEFAULT again', 'PROMPT 1', 'TIMEOUT 100', ...again])
  }
}

const again = ['LABEL again', '  COM32 reboot.c32']
const lines = (body: readonly string[]): string => `${body.join('\n')}\n`
