// The `tls` section: a certificate and a key that TLS can be served with, and browsers that are told to use it.
import { flawOf } from './certificate.ts';
import { pemFindings } from './pem.ts';
import type { Finding, RuleContext } from './rule.ts';

export function tlsRules(context: RuleContext): Finding[] {
  return [schemeRules, fileRules].flatMap((rule) => rule(context));
}

// Browsers would be sent to http, where nobody answers them.
function schemeRules({ draft: { publicUrl }, isGiven }: RuleContext): Finding[] {
  if (!isGiven(['tls']) || publicUrl === undefined || new URL(publicUrl).protocol === 'https:') return [];
  return [{ path: ['tls'], message: `stands beside a publicUrl on http (${publicUrl}); make publicUrl https` }];
}

function fileRules({ draft: { tls }, readFile }: RuleContext): Finding[] {
  const at = (part: string) => ['tls', part, 'file'];
  const [cert, key] = [tls?.cert?.file, tls?.key?.file];
  const findings = [
    ...pemFindings(at('cert'), cert, 'certificate', readFile),
    ...pemFindings(at('key'), key, 'key', readFile),
  ];
  if (findings.length > 0 || cert === undefined || key === undefined) return findings;
  const flaw = flawOf({ cert: readFile(cert), key: readFile(key) });
  if (flaw === undefined) return [];
  return [{ path: at(flaw.part), message: `${flaw.part === 'cert' ? cert : key} ${flaw.message}` }];
}
