/** Long work as tasks (DSP0266, clause 12.2): a monitor that answers 202 until it is done, and a record of it. Pure. */
import { failure, link, members, root, type Answer, type Json, type Resource } from './answer.ts'

export interface Tasks {
  /** Begins one; its end shows at the second look. */
  begin(name: string, work: () => void, fails: boolean): Answer
  readonly resources: ReadonlyMap<string, Resource>
  at(path: string): Resource | undefined
}
interface Task { readonly id: string, readonly name: string, readonly begun: string, looks: number, ended: string | undefined, readonly fails: boolean, readonly work: () => void }

const looksUntilDone = 2
const keptTasks = 50

export function createTasks (): Tasks {
  const tasks = new Map<string, Task>()
  let last = 0
  const service = `${root}/TaskService`
  const state = (task: Task): 'Running' | 'Completed' | 'Exception' => task.ended === undefined ? 'Running' : task.fails ? 'Exception' : 'Completed'
  const look = (task: Task): void => {
    if (task.ended !== undefined || ++task.looks < looksUntilDone) return
    task.ended = new Date().toISOString()
    if (!task.fails) task.work()
  }
  const messages = (task: Task): Json[] => task.fails && task.ended !== undefined ? [{ MessageId: 'Base.1.8.InternalError', Message: 'The request failed due to an internal service error.', Severity: 'Critical' }] : []
  const describe = (task: Task): Json => ({
    '@odata.type': '#Task.v1_4_3.Task', Id: task.id, Name: task.name, TaskState: state(task), TaskStatus: task.fails && task.ended !== undefined ? 'Critical' : 'OK',
    StartTime: task.begun, ...task.ended === undefined ? {} : { EndTime: task.ended }, PercentComplete: task.ended === undefined ? 0 : 100, TaskMonitor: `${service}/TaskMonitors/${task.id}`, Messages: messages(task)
  })
  const resources = new Map<string, Resource>([
    [service, { get: () => ({ '@odata.type': '#TaskService.v1_1_4.TaskService', Id: 'TaskService', Name: 'Tasks', ServiceEnabled: true, CompletedTaskOverWritePolicy: 'Oldest', DateTime: new Date().toISOString(), Tasks: link(`${service}/Tasks`) }) }],
    [`${service}/Tasks`, { get: () => ({ '@odata.type': '#TaskCollection.TaskCollection', Name: 'Tasks', ...members([...tasks.keys()].map(id => `${service}/Tasks/${id}`)) }) }]
  ])
  return {
    resources,
    begin (name, work, fails) {
      const id = String(++last)
      const task: Task = { id, name, begun: new Date().toISOString(), looks: 0, ended: undefined, fails, work }
      tasks.set(id, task)
      if (tasks.size > keptTasks) tasks.delete([...tasks.keys()][0] ?? '')
      return { status: 202, body: { ...link(`${service}/Tasks/${id}`), ...describe(task) }, headers: { location: `${service}/TaskMonitors/${id}`, 'retry-after': '1' } }
    },
    at (path) {
      const [, kind, id = ''] = new RegExp(`^${service}/(Tasks|TaskMonitors)/([^/]+)$`).exec(path) ?? []
      const task = tasks.get(id)
      if (task === undefined) return undefined
      if (kind === 'Tasks') return { get: () => { look(task); return describe(task) } }
      return {
        monitor: () => {
          look(task)
          if (task.ended === undefined) return { status: 202, body: describe(task), headers: { location: `${service}/TaskMonitors/${id}`, 'retry-after': '1' } }
          return task.fails ? failure(500, 'The request failed due to an internal service error.', 'InternalError') : { status: 200, body: describe(task) }
        }
      }
    }
  }
}
