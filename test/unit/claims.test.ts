// The requirements and attacks that this product claims to answer, by the ids that test names carry. A claim that no test is named after is no claim.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import ts from 'typescript';

/** `1…18` is a range. */
const claims: Record<string, string> = {
  BFF: '1…18', // RFC 10017: backend for frontend
  CK: '1…15', // cookies
  SES: '1…7, 14, 15, 17…21', // sessions
  CSRF: '1…9', // requests of other sites
  RED: '1, 2', // where redirects lead
  HDR: '1…7', // response headers
  OA: '1…27', // OAuth 2.0 and its security best current practice
  ID: '1…20, 23', // OpenID Connect
  LOG: '1…6', // logout
  RV: '1…3', // revocation
  PRX: '1…8, 10, 12, 14, 15, 19, 20', // proxying
  ERR: '1, 2', // error answers
  LOGS: '1, 3', // logs
  SEC: '1…5', // operation
  RD: '1…4, 6…8, 10…15', // open redirects
  RT: '1, 3…7, 9…14, 16, 18', // routes and bypasses
  HD: '1…8, 10, 11', // header fields
  S: '1…3, 5, 7…9, 11, 13…17, 19, 21…23', // session attacks
  FL: '2…6, 8, 9, 11, 13, 15…18', // login flow attacks
  TK: '1…7, 9, 11, 12, 14, 16', // tokens
};

const claimed = Object.entries(claims).flatMap(([prefix, numbers]) =>
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
