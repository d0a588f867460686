// Calls at a steady pace, as users bring them, as long as not too many of the earlier ones wait.

export interface SteadyLoad {
  /** How many were made so far. */
  made(): number;
  /** What went wrong so far. */
  failures: string[];
  /** Makes no more, and waits for those under way. */
  stop(): Promise<void>;
}

/** A machine that is too slow for the pace is not to drown in what it owes. */
const mostAtOnce = 50;

/** Makes `perSecond` calls a second. `call` gives the status of its answer; anything but 200 is a failure, and so is what it throws. */
export function startLoad(perSecond: number, call: () => Promise<number>): SteadyLoad {
  const failures: string[] = [];
  const underWay = new Set<Promise<void>>();
  const from = performance.now();
  let made = 0;

  async function one(): Promise<void> {
    const at = Math.round(performance.now() - from);
    try {
      const status = await call();
      if (status !== 200) failures.push(`at ${at} ms: ${status}`);
    } catch (error) {
      failures.push(`at ${at} ms: ${String(error)}`);
    }
  }

  const timer = setInterval(() => {
    for (
      const due = ((performance.now() - from) * perSecond) / 1000;
      made < due && underWay.size < mostAtOnce;
      made += 1
    ) {
      const call = one().finally(() => underWay.delete(call));
      underWay.add(call);
    }
  }, 5);
  return {
    made: () => made,
    failures,
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}
