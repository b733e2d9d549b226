// usage: node check.mjs [--insecure] URL

const insecure = process.argv.includes('--insecure');
const address = process.argv.slice(2).find((argument) => !argument.startsWith('--'));
if (!address) {
  console.error('usage: node check.mjs [--insecure] URL');
  process.exit(2);
}
const problems = [];
const problem = (who, what) => problems.push(`${who}: ${what}`);
const secure = (url) => /^https:\/\//.test(url) || (insecure && /^http:\/\//.test(url));
const decode = (text) => text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');

/** Attributes of each element of a kind; good for heads of pages, no parser of HTML. */
function elements(html, tag) {
  return [...html.matchAll(new RegExp(`<${tag}\\b((?:[^>"']|"[^"]*"|'[^']*')*)>`, 'gi'))].map(([, attributes]) => (
    Object.fromEntries([...attributes.matchAll(/([\w:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)].map(([, name, a, b, c]) => [name.toLowerCase(), decode(a ?? b ?? c ?? '')]))
  ));
}

const response = await fetch(address, { headers: { accept: 'text/html' } });
if (!response.ok) {
  console.error(`${address} is answered with HTTP status ${response.status}`);
  process.exit(1);
}
const html = await response.text();
const meta = Object.fromEntries(elements(html, 'meta').map((one) => [one.property ?? one.name, one.content]));

// Mastodon.
const link = elements(html, 'link').find((one) => one.rel === 'alternate' && one.type === 'application/json+oembed');
let shown = false;
if (!link) {
  problem('Mastodon', 'the page names no oEmbed card: <link rel="alternate" type="application/json+oembed" href="…">');
} else {
  const answer = await fetch(new URL(link.href, address));
  const card = answer.ok ? await answer.json().catch(() => null) : null;
  const [frame] = card ? elements(String(card.html ?? ''), 'iframe') : [];
  if (!card) problem('Mastodon', `the card ${link.href} is answered with HTTP status ${answer.status}, or is no JSON`);
  else if (String(card.version) !== '1.0') problem('Mastodon', 'the card is not of version 1.0');
  else if (card.type !== 'video') problem('Mastodon', `the card's type is ${card.type}, not video`);
  else if (!(card.width > 0 && card.height > 0)) problem('Mastodon', 'the card has no width and height');
  else if (!frame?.src) problem('Mastodon', "the card's html has no iframe with an address");
  else if (!secure(frame.src)) problem('Mastodon', `the iframe's address is not https: ${frame.src}`);
  else {
    const page = await fetch(frame.src);
    const policy = page.headers.get('content-security-policy') ?? '';
    if (!page.ok) problem('Mastodon', `the iframe's page is answered with HTTP status ${page.status}`);
    else if (page.headers.has('x-frame-options') || /frame-ancestors (?!\*|https:)/.test(policy)) problem('Mastodon', 'the iframe\'s page forbids to be embedded (X-Frame-Options, frame-ancestors)');
    else shown = true;
    if (shown) console.log(`Mastodon shows a player of ${card.width}x${card.height}: ${card.title}${card.thumbnail_url ? `, picture ${card.thumbnail_url}` : ', without a picture'}`);
  }
}
if (!shown && secure(meta['twitter:player'] ?? '')) console.log(`Mastodon falls back to the player card: ${meta['twitter:player']}`);

// Lemmy.
if (!meta['og:title'] && !/<title>[^<]/i.test(html)) problem('Lemmy', 'the page has no title');
if (!meta['og:image']) problem('Lemmy', 'the page has no og:image');
if (!secure(meta['og:video'] ?? '')) problem('Lemmy', 'the page has no og:video with an https: address');
else console.log(`Lemmy embeds: ${meta['og:title']}, ${meta['og:video']}`);

for (const one of problems) console.log(one);
process.exit(problems.length > 0 ? 1 : 0);
