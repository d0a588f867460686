// The few pages of ours: one look, no external resources, every text escaped.

/** Plain text in, HTML out; nothing in it is trusted. */
export interface Page {
  title: string;
  paragraphs: readonly string[];
  /** What a person passes on when asking for help. */
  smallPrint?: string;
  /** Ways on; the first is the one that people usually want. */
  links?: readonly { href: string; text: string }[];
  /** A form of hidden fields with one button, which posts. */
  form?: { action: string; fields: Readonly<Record<string, string>>; button: string };
  /** Runs under this nonce and nothing else does. Must be a constant of ours: it is not escaped. */
  script?: { nonce: string; source: string };
}

/** A whole HTML document, to be sent with the headers that security-headers.ts has for pages. */
export function renderPage(page: Page): string {
  const paragraphs = page.paragraphs.map((text) => `<p>${escapeHtml(text)}</p>`).join('\n');
  const links = (page.links ?? [])
    .map(({ href, text }) => `<a href="${escapeHtml(href)}">${escapeHtml(text)}</a>`)
    .join(' ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(page.title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(page.title)}</h1>
${paragraphs}
${page.form === undefined ? '' : renderForm(page.form)}
${links === '' ? '' : `<nav>${links}</nav>`}
${page.smallPrint === undefined ? '' : `<small>${escapeHtml(page.smallPrint)}</small>`}
</main>
${page.script === undefined ? '' : `<script nonce="${escapeHtml(page.script.nonce)}">${page.script.source}</script>`}
</body>
</html>
`;
}

/** For text and for attribute values in double quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function renderForm(form: NonNullable<Page['form']>): string {
  const fields = Object.entries(form.fields).map(
    ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`,
  );
  return `<form action="${escapeHtml(form.action)}" method="post">
${fields.join('\n')}
<button>${escapeHtml(form.button)}</button>
</form>`;
}

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: light-dark(#f3f4f6, #15171a) }
main { box-sizing: border-box; width: min(30rem, 100% - 2rem); padding: 2rem; border-radius: .75rem;
  background: light-dark(#fff, #202327); box-shadow: 0 1px 3px #0003 }
h1 { margin: 0 0 .75rem; font-size: 1.375rem; line-height: 1.3 }
p { margin: 0 0 .75rem }
small { display: block; margin-top: 1.5rem; color: light-dark(#5c6370, #9aa1ac); overflow-wrap: anywhere }
nav, form { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.5rem }
a, button { padding: .5rem 1.125rem; border: 1px solid; border-radius: .5rem; background: none; font: inherit; text-decoration: none;
  color: light-dark(#1d4fa8, #9fc2ff); cursor: pointer }
a:first-child, button { border-color: #1d4fa8; background: #1d4fa8; color: #fff }
`;
