// The requirements and attacks that this product claims to answer, by the ids that test names carry. A claim that no test is named after is no claim.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import ts from 'typescript';

/** What each family is about, and the ids of it that are claimed; `1…18` is a range. */
const families: Record<string, [about: string, numbers: string]> = {
  BFF: ['Tokens stay on the server and the browser holds a session (RFC 10017).', '1…20'],
  CK: ['The session cookie is named, guarded and read as RFC 6265bis allows.', '1…15'],
  SES: ['Sessions have ids nobody guesses, and ends that hold.', '1…22'],
  CSRF: ['Requests of other sites cannot use a session.', '1…9, 11'],
  RED: ['Redirects lead to the app and nowhere else.', '1, 2'],
  HDR: ['Answers carry the header fields that protect the browser.', '1…7'],
  OA: ['The login is done as OAuth 2.0 and its security best current practice (RFC 9700) say.', '1…27'],
  ID: ['Who signed in is known as OpenID Connect says.', '1…21, 23, 24'],
  PAR: ['The authorization request goes to the provider directly where it wants that (RFC 9126).', '1…4'],
  JARM: ['An answer in a form that was not asked for is refused (JWT Secured Authorization Response Mode).', '2'],
  LOG: ['A logout ends the session here and at the provider.', '1…6'],
  RV: ['Tokens that are no longer needed are revoked (RFC 7009).', '1…3'],
  BCL: ['The provider’s server can end sessions (OpenID Connect Back-Channel Logout).', '1…16'],
  FCL: ['The provider can end a session through a frame (OpenID Connect Front-Channel Logout).', '1…4'],
  PRX: ['A call is forwarded as HTTP asks of an intermediary.', '1…20'],
  WS: ['WebSockets are for our own pages alone, and end with the session.', '1…3'],
  ERR: ['Errors are told in one form that gives nothing away.', '1, 2'],
  LOGS: ['Logs show what happened and no secrets.', '1…3'],
  SEC: ['It is operated with safe settings and limits.', '1…7'],
  RD: ['Attack: a link to the login leads away to a stranger’s site.', '1…4, 6…8, 10…15'],
  RT: ['Attack: a path or a request slips past the route that guards it.', '1, 3…7, 9…14, 16, 18'],
  HD: ['Attack: a header field speaks for the user or for the proxy.', '1…8, 10, 11'],
  PX: ['Attack: ambiguous or broken HTTP confuses the proxy.', '1, 3, 5, 7…11, 13, 14, 16, 17, 19'],
  S: ['Attack: a session is fixed, stolen, forged, mixed up or outlives its end.', '1…3, 5, 7…9, 11, 13…17, 19, 21…23'],
  CS: ['Attack: another site, or a forged logout, acts on a session.', '1…4, 6…9, 11…14'],
  FL: ['Attack: a login is started, answered or replayed by somebody else.', '2…6, 8, 9, 11, 13, 15…18'],
  TK: ['Attack: tokens leak, go to the wrong place, or are lost in a refresh.', '1…9, 11, 12, 14, 16, 17'],
  ST: [
    'Fault: the store, the provider or another replica fails, hangs or mixes up answers.',
    '1…8, 10, 11, 13…16, 18…20',
  ],
  DL: ['Attack: cheap input costs time or memory without limit.', '1, 3…6, 8…13, 15, 16'],
};

const claimed = Object.entries(families).flatMap(([prefix, [, numbers]]) =>
  numbers.split(', ').flatMap((part) => range(part).map((number) => idOf(prefix, number))),
);

const root = join(import.meta.dirname, '..');
const named = new Set(
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts') && file !== 'unit/claims.test.ts')
    .flatMap((file) => textsOf(readFileSync(join(root, file), 'utf8')).flatMap(idsIn)),
);

test.each(claimed)('%s is what some test is named after', (id) => {
  expect(named).toContain(id);
});

test('only what stands in brackets in a name counts: an id in a comment names no test', () => {
  const source = [
    '// (OA-01)',
    "test('it holds (CK-02…05, SES-07)', () => { /* (OA-02) */ });",
    "test.each([['a case (ID-10)']])(`${name} of OA-03 %s (ID-11)`, () => {});",
  ];
  const ids = ['CK-02', 'CK-03', 'CK-04', 'CK-05', 'SES-07', 'ID-10', 'ID-11'];
  expect(textsOf(source.join('\n')).flatMap(idsIn)).toEqual(ids);
});

/** Every string of a test file: names of tests, and the tables that names are made from. Comments are none. */
function textsOf(source: string): string[] {
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node))
      texts.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('claim.test.ts', source, ts.ScriptTarget.Latest));
  return texts;
}

/** A name says its ids in brackets. */
function idsIn(text: string): string[] {
  const brackets = Array.from(text.matchAll(/\(([^()]*)\)/g), ([, inside]) => inside).join();
  const found = brackets.matchAll(/\b([A-Z]{1,4})-(\d+)(?:…(\d+))?/g);
  return Array.from(found, ([, prefix, first, last]) =>
    range(`${first!}…${last ?? first!}`).map((number) => idOf(prefix!, number)),
  ).flat();
}

function range(text: string): number[] {
  const [first = NaN, last = first] = text.split('…').map(Number);
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

function idOf(prefix: string, number: number): string {
  return `${prefix}-${String(number).padStart(2, '0')}`;
}
