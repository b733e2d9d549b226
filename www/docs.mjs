// Makes dist/docs.html: the reference of both elements out of their manifest, which comes from the sources, and API.md.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Marked } from 'marked';

const root = dirname(fileURLToPath(import.meta.url));

/** Writes `docs.html` into `out`, where `custom-elements.json` is. */
export function writeDocs(out) {
  const manifest = JSON.parse(readFileSync(join(out, 'custom-elements.json'), 'utf8'));
  const elements = manifest.modules.flatMap(({ declarations }) => declarations).filter(({ tagName }) => tagName);
  const contents = [];
  const ids = new Set();
  /** Headings get ids, and a line in the contents. */
  const heading = (html, text, depth) => {
    const base = text.toLowerCase().replace(/[^\w]+/g, '-').replace(/^-|-$/g, '') || 'section';
    let id = base;
    for (let n = 2; ids.has(id); n++) id = `${base}-${n}`;
    ids.add(id);
    if (depth <= 4) contents.push(`<li class="depth-${depth}"><a href="#${id}">${html}</a></li>`);
    return `<h${depth} id="${id}">${html}</h${depth}>\n`;
  };
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        return heading(this.parser.parseInline(tokens), text.replaceAll(/[`<>]/g, ''), Math.min(6, depth + 1));
      },
      table(token) {
        const cells = (row) => row.map((cell) => this.parser.parseInline(cell.tokens));
        return table(cells(token.header), token.rows.map(cells));
      },
      code({ text }) {
        return `<pre tabindex="0"><code>${escape(text)}</code></pre>`;
      },
      html({ text }) {
        return escape(text);
      },
    },
  });
  const guide = marked.parse(readFileSync(join(root, 'API.md'), 'utf8'));
  const reference = heading('Reference', 'Reference', 2) + elements.map((element) => {
    const { tagName, description, attributes = [], members = [], events = [], cssProperties = [], cssParts = [] } = element;
    const own = (list) => list.filter(({ inheritedFrom, static: fixed }) => !inheritedFrom && !fixed);
    const code = (text) => `<code>${escape(text)}</code>`;
    const tables = [
      ['Attributes', ['attribute', 'type', ''], own(attributes).map(({ name, type, description: says }) => [code(name), code(type?.text ?? 'string'), prose(says)])],
      ['Properties', ['property', 'type', ''], own(members).filter(({ kind }) => kind === 'field').map(({ name, type, readonly, description: says }) => [code(name), `${code(type?.text ?? '')}${readonly ? ' read only' : ''}`, prose(says)])],
      ['Methods', ['method', 'returns', ''], own(members).filter(({ kind }) => kind === 'method').map(({ name, parameters = [], return: gives, description: says }) => [code(`${name}(${parameters.map((one) => one.name).join(', ')})`), code(gives?.type?.text ?? 'void'), prose(says)])],
      ['Events', ['event', 'type', ''], own(events).map(({ name, type, description: says }) => [code(name), code(type?.text ?? 'Event'), prose(says)])],
      ['CSS properties', ['property', ''], cssProperties.map(({ name, description: says }) => [code(name), prose(says)])],
      ['CSS parts', ['part', ''], cssParts.map(({ name, description: says }) => [code(`::part(${name})`), prose(says)])],
    ];
    return heading(`&lt;${tagName}&gt;`, tagName, 3) + `<p>${prose(description)}</p>` + tables.filter(([, , rows]) => rows.length > 0).map(([title, head, rows]) => `<h4>${title}</h4>${table(head, rows)}`).join('');
  }).join('');

  const page = readFileSync(join(root, 'src/demo/docs.html'), 'utf8');
  const fill = { guide, reference, contents: `<ol>${contents.join('')}</ol>` };
  writeFileSync(join(out, 'docs.html'), page.replaceAll(/<!-- (guide|reference|contents) -->/g, (_, name) => fill[name]));
}

/** Wide ones scroll by themselves, by keyboard too. */
function table(head, rows) {
  const row = (cells, tag) => `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return `<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>${head.some((cell) => cell !== '') ? `<thead>${row(head.map((cell) => cell || 'meaning'), 'th')}</thead>` : ''}<tbody>${rows.map((cells) => row(cells, 'td')).join('')}</tbody></table></div>\n`;
}

/** Text of a documentation comment. */
function prose(text = '') {
  return escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>').replaceAll('\n', ' ');
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** Fills the front page's table with the figures of the project's README. */
export function homePage(page) {
  const readme = readFileSync(join(root, '../README.md'), 'utf8');
  const [, rows = ''] = /\| world \| copies \| from peers \|\n\|[-|]+\|\n((?:\|.*\|\n)+)/.exec(readme) ?? [];
  const figures = [...rows.matchAll(/^\| (.+?) \| ([\d.]+) \| (\d+) % \|$/gm)].map(([, world, copies, share]) => [
    escape(world), `${copies}`, `${share} %<svg class="bar" width="${(0.9 * Number(share)).toFixed(0)}" height="10" aria-hidden="true"></svg>`,
  ]);
  if (figures.length === 0) throw new Error('README.md has no table of figures any more: change docs.mjs with it');
  return page.replace('<!-- figures -->', () => table(['a swarm of', 'copies of each segment that the server sent', 'of the video came from people'], figures).replace('<table>', '<table class="figures">'));
}
