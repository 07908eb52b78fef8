/** A text that an image brings for a boot loader, with what is in braces filled in. Pure. */
import { printable } from './printable.ts'
import type { Task, Where } from './task.ts'

/**
 * `{{title}}`, `{{base}}` (URL of the rack), `{{kernel}}`, `{{initrd}}`, `{{root}}` (paths below it), `{{options}}` (the kernel's) and `{{mac}}`; a word in braces that is none of
 * these stays as it is, so that a mistake can be seen on the machine's console. `options`: as the loader writes them.
 */
export function filled (template: string, task: Task & { kind: 'boot' }, { base, mac }: Where, options: string): string {
  const values: Readonly<Record<string, string>> = { title: printable(task.title), base, kernel: task.kernel, initrd: task.initrd, root: `/boot/files/${task.files.root.sha256}/root.squashfs`, options, mac }
  const text = template.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => Object.hasOwn(values, name) ? values[name] ?? whole : whole)
  return text.endsWith('\n') ? text : `${text}\n`
}
