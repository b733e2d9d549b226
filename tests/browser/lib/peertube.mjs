// A PeerTube instance as far as its public API goes: answers in the shapes of PeerTube 8 (`packages/models/src/videos` of its sources:
// video, video-streaming-playlist, video-caption, chapter and storyboard), with this test's film in them. Its captions, pictures and hashes are real.

import { createHash } from 'node:crypto';
import { startStage } from './stage.mjs';

const UUID = '9c9de5e8-0a1e-484a-b099-e80766180a6d';
const SHORT = 'kkGMgK9ZtnKfYAgnEtQxbv';
const RENDITION = '/media/sample/480p/';

/** One grey pixel, as PNG. */
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCBd81ytgAAAABJRU5ErkJggg==', 'base64');

/** Starts it; `posts` is what it was told of views and playback. */
export async function startPeerTube(demo) {
  const posts = [];
  const json = (body, status = 200) => ({ type: 'application/json', body: JSON.stringify(body), status });
  const problem = (status, code, detail) => json({ type: 'about:blank', status, detail, error: detail, ...(code && { code }) }, status);
  const stage = await startStage({});
  const hashes = {};
  for (let number = 0; number < 16; number++) {
    const file = `${String(number).padStart(3, '0')}.m4s`;
    hashes[file] = createHash('sha256').update(Buffer.from(await (await fetch(demo.url + RENDITION + file)).arrayBuffer())).digest('hex');
  }
  const details = {
    id: 42, uuid: UUID, shortUUID: SHORT, url: `${stage.url}/videos/watch/${UUID}`, name: 'Ein Tag am See <b>', category: { id: 9, label: 'Comedy' }, licence: { id: 1, label: 'Attribution' },
    language: { id: 'de', label: 'German' }, privacy: { id: 1, label: 'Public' }, nsfw: false, truncatedDescription: 'A day.', description: 'A day.', duration: 64, isLocal: true, isLive: false,
    aspectRatio: 1.7778, views: 12, likes: 3, dislikes: 0, viewers: 1, comments: 0, thumbnailPath: `/lazy-static/thumbnails/${UUID}.jpg`, previewPath: `/lazy-static/previews/${UUID}.jpg`,
    embedPath: `/videos/embed/${SHORT}`, createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z', publishedAt: '2026-01-01T00:00:00.000Z', originallyPublishedAt: null,
    channel: { id: 1, name: 'lake', displayName: 'The lake', host: 'localhost' }, account: { id: 1, name: 'lake', displayName: 'The lake', host: 'localhost' }, tags: [], support: null,
    downloadEnabled: true, waitTranscoding: false, state: { id: 1, label: 'Published' }, trackerUrls: [`${stage.url}/tracker/announce`, demo.tracker], files: [],
    streamingPlaylists: [{ id: 5, type: 1, playlistUrl: `${demo.url}${RENDITION}index.m3u8`, segmentsSha256Url: `${stage.url}/static/streaming-playlists/hls/${UUID}/segments-sha256.json`, redundancies: [], files: [] }],
  };
  const other = (changes) => json({ ...details, ...changes });
  const told = (request, response) => {
    const chunks = [];
    response.setHeader('access-control-allow-headers', 'content-type');
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      if (request.method === 'POST') posts.push({ path: request.url, body: JSON.parse(Buffer.concat(chunks).toString()) });
      response.writeHead(204).end();
    });
  };
  // Since 8.1, in place of `previewPath`.
  const pictures = [['16:9', 280], ['16:9', 850], ['1:1', 1000]].map(([aspectRatio, width]) => ({ aspectRatio, width, height: Math.round(width * 9 / 16), fileUrl: `${stage.url}/lazy-static/thumbnails/${width}.jpg` }));
  const api = '/api/v1/videos/';
  for (const id of [UUID, SHORT]) {
    Object.assign(stage.routes, {
      [`${api}${id}`]: id === SHORT ? other({ thumbnails: pictures }) : json(details),
      [`${api}${id}/captions`]: json({ total: 1, data: [{ language: { id: 'fr', label: 'French' }, automaticallyGenerated: false, captionPath: '/lazy-static/video-captions/fr.vtt', fileUrl: `${stage.url}/lazy-static/video-captions/fr.vtt`, updatedAt: '2026-01-01T00:00:00.000Z' }] }),
      [`${api}${id}/chapters`]: json({ chapters: [{ timecode: 0, title: 'Morning' }, { timecode: 20, title: 'Noon & <after>' }] }),
      [`${api}${id}/storyboards`]: json({ storyboards: [{ storyboardPath: '/lazy-static/storyboards/s.jpg', fileUrl: `${stage.url}/lazy-static/storyboards/s.jpg`, totalHeight: 360, totalWidth: 640, spriteHeight: 90, spriteWidth: 160, spriteDuration: 4 }] }),
      [`${api}${id}/views`]: told,
    });
  }
  Object.assign(stage.routes, {
    '/api/v1/metrics/playback': told,
    '/lazy-static/video-captions/fr.vtt': { type: 'text/vtt', body: 'WEBVTT\n\n00:00:00.000 --> 00:01:00.000\nBonjour\n' },
    ...Object.fromEntries([details.previewPath, ...pictures.map(({ fileUrl }) => new URL(fileUrl).pathname)].map((picture) => [picture, { type: 'image/png', body: PIXEL }])),
    '/lazy-static/storyboards/s.jpg': { type: 'image/png', body: PIXEL },
    [`/static/streaming-playlists/hls/${UUID}/segments-sha256.json`]: json(hashes),
    [`${api}private`]: problem(401, null, 'You are not authenticated'),
    [`${api}password`]: problem(403, 'video_requires_password', 'Please provide a password to access this password protected video'),
    [`${api}deleted`]: problem(404, null, 'Video not found'),
    [`${api}overloaded`]: problem(503, null, 'Overloaded'),
    [`${api}files-only`]: other({ streamingPlaylists: [] }),
    [`${api}transcoding`]: other({ streamingPlaylists: [], state: { id: 2, label: 'To transcode' } }),
    [`${api}awaited`]: other({ isLive: true, state: { id: 4, label: 'Waiting for livestream' } }),
    [`${api}other-site`]: { type: 'text/html', body: '<!doctype html><p>Nothing' },
  });
  return { ...stage, posts, id: SHORT, uuid: UUID };
}
