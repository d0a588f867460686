// node:cluster, and all that the first process and its workers say to each other.
import cluster from 'node:cluster';
import type { Worker } from 'node:cluster';
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { Health } from '../http/health.ts';
import type { PublicListeners } from '../server.ts';
import type { Figures } from '../telemetry/metrics.ts';
import { workerHeapPercentage } from './worker-heap.ts';

/** What a worker is started with. It gets the text of the configuration, so that one that replaces another serves the same, whatever the file says by then. */
export interface Order {
  /** From 1; one that replaces another has its number. */
  number: number;
  text: string;
}

export type Addresses = Pick<PublicListeners, 'publicAddress' | 'forwardAuthAddress'>;

/** What a worker can be asked. */
export interface Answers {
  health: Health;
  figures: Figures;
}

type ToWorker =
  | { kind: 'order'; order: Order }
  | { kind: 'ask'; id: number; what: keyof Answers }
  | { kind: 'reload'; text: string }
  | { kind: 'drain'; reason: string };

type FromWorker =
  | { kind: 'here' }
  | { kind: 'listening'; addresses: Addresses }
  | { kind: 'answer'; id: number; answer: Answers[keyof Answers] };

/** A worker as the first process sees it. */
export interface WorkerProcess {
  pid: number;
  /** Resolves once it listens; undefined when it ends before that. */
  listening: Promise<Addresses | undefined>;
  ended: Promise<{ code: number | null; signal: string | null }>;
  /** Its answer; undefined when there is none in time. */
  ask<What extends keyof Answers>(what: What, atMostMs: number): Promise<Answers[What] | undefined>;
  /** Tells it to go by another configuration, whose text this is. */
  reload(text: string): void;
  /** Tells it to finish what is under way, and end; `reason` is the signal that said so. */
  drain(reason: string): void;
  kill(): void;
}

/** Whether this process is a worker. */
export const isWorker = cluster.isWorker;

/** Has the workers to come, so many, share the memory that one process would have for itself. */
export function shareMemory(workers: number): void {
  // Without a limit of a container, this is far more than the machine has.
  const availableBytes = Math.min(process.constrainedMemory() || Infinity, totalmem());
  const heapBytes = getHeapStatistics().heap_size_limit;
  const percentage = workerHeapPercentage({ workers, heapBytes, availableBytes });
  if (percentage === undefined) return;
  // An argument wins over NODE_OPTIONS, which is the same for all processes.
  cluster.setupPrimary({ execArgv: [...process.execArgv, `--max-old-space-size-percentage=${percentage}`] });
}

/** Starts a worker: this program again, with the same arguments. */
export function startWorker(order: Order): WorkerProcess {
  // The first process accepts connections and hands each to the next worker. Left to the kernel, a few connections of a load balancer, kept alive for hours,
  // may all end at one worker. It costs a message a connection, and nothing a request.
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const worker = cluster.fork();
  const asked = new Map<number, (answer: Answers[keyof Answers] | undefined) => void>();
  const listening = Promise.withResolvers<Addresses | undefined>();
  const ended = Promise.withResolvers<{ code: number | null; signal: string | null }>();
  let lastId = 0;
  let drainReason: string | undefined;
  let newText: string | undefined;

  const tell = (message: ToWorker): void => {
    if (worker.isConnected()) worker.send(message, () => undefined);
  };
  worker.on('message', (message: FromWorker) => {
    switch (message.kind) {
      case 'here':
        tell({ kind: 'order', order });
        // What is told to a worker before it has reported is lost.
        if (newText !== undefined) tell({ kind: 'reload', text: newText });
        if (drainReason !== undefined) tell({ kind: 'drain', reason: drainReason });
        return;
      case 'listening':
        listening.resolve(message.addresses);
        return;
      case 'answer':
        asked.get(message.id)?.(message.answer);
    }
  });
  const end = (code: number | null, signal: string | null): void => {
    listening.resolve(undefined);
    ended.resolve({ code, signal });
    for (const give of asked.values()) give(undefined);
  };
  worker.once('exit', end);
  worker.on('error', () => {
    // The system has no room for one more process.
    if (worker.process.pid === undefined) end(null, null);
  });

  return {
    pid: worker.process.pid ?? 0,
    listening: listening.promise,
    ended: ended.promise,
    async ask<What extends keyof Answers>(what: What, atMostMs: number) {
      if (!worker.isConnected()) return undefined;
      const id = (lastId += 1);
      const { promise, resolve } = Promise.withResolvers<Answers[keyof Answers] | undefined>();
      const late = setTimeout(() => resolve(undefined), atMostMs);
      asked.set(id, resolve);
      tell({ kind: 'ask', id, what });
      const answer = await promise;
      clearTimeout(late);
      asked.delete(id);
      return answer as Answers[What] | undefined;
    },
    reload(text) {
      newText = text;
      tell({ kind: 'reload', text });
    },
    drain(reason) {
      drainReason = reason;
      tell({ kind: 'drain', reason });
    },
    kill: () => void worker.process.kill('SIGKILL'),
  };
}

type Sources = { [What in keyof Answers]: () => Answers[What] | Promise<Answers[What]> };

/** The first process as a worker sees it. */
export interface FirstProcess {
  order: Order;
  /** Aborts when it says so, with the signal that it was told by, and when it is gone. */
  drain: AbortSignal;
  listening(addresses: Addresses): void;
  /** Calls with the text of every configuration that is to be gone by from now on, the last one before it included. */
  onReload(reload: (text: string) => void): void;
  /** From now on it is answered. */
  answerFrom(sources: Sources): void;
  /** Lets go of it: nothing else keeps a worker that has drained. */
  leave(): void;
}

/** Reports to the first process and waits for its order. */
export async function joinFirstProcess(worker: Worker = own()): Promise<FirstProcess> {
  const drain = new AbortController();
  const ordered = Promise.withResolvers<Order>();
  let sources: Sources | undefined;
  let newText: string | undefined;
  let reload: ((text: string) => void) | undefined;

  const say = (message: FromWorker): void => {
    if (worker.isConnected()) worker.send(message, () => undefined);
  };
  const reply = async (id: number, what: keyof Answers): Promise<void> => {
    if (sources !== undefined) say({ kind: 'answer', id, answer: await sources[what]() });
  };
  worker.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'order':
        ordered.resolve(message.order);
        return;
      case 'drain':
        drain.abort(message.reason);
        return;
      case 'reload':
        newText = message.text;
        reload?.(newText);
        return;
      case 'ask':
        void reply(message.id, message.what);
    }
  });
  worker.once('disconnect', () => {
    // Node would end this process on the spot, and with it a token that was just refreshed. If it drains already, somebody was impatient: let it.
    worker.exitedAfterDisconnect ||= !drain.signal.aborted;
    drain.abort();
  });
  say({ kind: 'here' });
  return {
    order: await ordered.promise,
    drain: drain.signal,
    listening: (addresses) => say({ kind: 'listening', addresses }),
    onReload(given) {
      reload = given;
      if (newText !== undefined) reload(newText);
    },
    answerFrom: (given) => void (sources = given),
    leave: () => void worker.disconnect(),
  };
}

function own(): Worker {
  if (cluster.worker === undefined) throw new Error('This process is not a worker');
  return cluster.worker;
}
