// Host names under .test (RFC 6761) lead to this machine: in this process by this file, in Chromium by `--host-resolver-rules=MAP *.test 127.0.0.1`.
import dns from 'node:dns';

/** From here on; undone by the function it gives. */
export function resolveTestNames(): () => void {
  const { lookup } = dns;
  const local = (hostName: string, ...rest: unknown[]) =>
    Reflect.apply(lookup, dns, [hostName.endsWith('.test') ? '127.0.0.1' : hostName, ...rest]);
  dns.lookup = local as typeof lookup;
  return () => {
    dns.lookup = lookup;
  };
}
