// The few pages of ours: one look, no external resources, every text escaped.

/** Plain text in, HTML out; nothing in it is trusted. */
export interface Page {
  title: string;
  paragraphs: readonly string[];
  links?: readonly { href: string; text: string }[];
  /** A form of hidden fields with one button. */
  form?: { action: string; method: 'get' | 'post'; fields: Readonly<Record<string, string>>; button: string };
  /** Runs under this nonce and nothing else does. Must be a constant of ours: it is not escaped. */
  script?: { nonce: string; source: string };
}

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
  return `<form action="${escapeHtml(form.action)}" method="${form.method}">
${fields.join('\n')}
<button>${escapeHtml(form.button)}</button>
</form>`;
}

const style = `
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }
body { margin: 0; min-height: 100vh; display: grid; place-items: center }
main { max-width: 32rem; padding: 2rem }
h1 { font-size: 1.4rem }
nav a { margin-right: 1.5rem }
button { font: inherit; padding: .5rem 1.25rem; border-radius: .5rem; border: 1px solid; cursor: pointer }
`;
