import { expect, test } from '@jest/globals';
import { escapeHtml, renderPage } from '../../../src/http/page.ts';

const hostile = `"><script>alert('x')</script>&<img src=x onerror=alert(1)>`;

test('no text of a page can become markup (FL-11, RD-08)', () => {
  const html = renderPage({
    title: hostile,
    paragraphs: [hostile],
    smallPrint: hostile,
    links: [{ href: `/${hostile}`, text: hostile }],
    form: { action: hostile, fields: { [hostile]: hostile }, button: hostile },
  });
  const tags = new Set([...html.matchAll(/<\/?([^\s>]*)/g)].map(([, name]) => name));
  const ours = [
    '!doctype',
    'html',
    'head',
    'meta',
    'title',
    'style',
    'body',
    'main',
    'h1',
    'p',
    'form',
    'input',
    'button',
    'nav',
    'a',
    'small',
  ];
  expect([...tags].filter((name) => !ours.includes(name!))).toEqual([]);
  expect(html.match(/"/g)!.length % 2).toBe(0);
});

test('what was escaped reads as it was written', () => {
  expect(escapeHtml(`a & b < c > d " e ' f`)).toBe('a &#38; b &#60; c &#62; d &#34; e &#39; f');
});

test('only a script of ours runs, under its nonce', () => {
  const html = renderPage({ title: 't', paragraphs: [], script: { nonce: 'n0nce', source: 'go()' } });
  expect(html).toContain('<script nonce="n0nce">go()</script>');
  expect(renderPage({ title: 't', paragraphs: [] })).not.toContain('<script');
});

test('a page loads nothing from anywhere (FL-13)', () => {
  expect(renderPage({ title: 't', paragraphs: ['p'], links: [{ href: '/', text: 'home' }] })).not.toMatch(
    /src=|<link|@import|url\(/,
  );
});
