// What the package's types promise, for whoever writes against them. Checked by the compiler, against the package as it is packed; never run.

import 'potluck-player';
import { PotluckError, type PotluckPlayer, type PotluckVideo, type EngineStats } from 'potluck-player';
import { PotluckEmbed, embedUrl, type EmbedState } from 'potluck-player/embed';
import type { PotluckPlayer as Player } from 'potluck-player/player';
import type { PotluckVideo as Video } from 'potluck-player/video';

/** Compiles where both are the same type, and nowhere else. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(..._proof: Same<A, B> extends true ? [] : [never]): void {}

// The tags are known to the DOM's types.
const video = document.createElement('potluck-video');
const player = document.createElement('potluck-player');
same<typeof video, PotluckVideo>();
same<typeof player, PotluckPlayer>();
same<Player, PotluckPlayer>();
same<Video, PotluckVideo>();

// A media element, to code that expects one.
const media: Pick<HTMLVideoElement, 'play' | 'pause' | 'currentTime' | 'duration' | 'paused' | 'muted' | 'volume' | 'textTracks' | 'buffered' | 'videoWidth' | 'poster'> = video;
const dressed: typeof media = player;
void [media, dressed];
same<ReturnType<PotluckVideo['play']>, Promise<void>>();

// Its own.
same<PotluckVideo['stats'], EngineStats>();
same<PotluckVideo['streamType'], 'live' | 'on-demand' | 'unknown'>();
same<PotluckPlayer['uploadLimit'], number | null>();
same<PotluckPlayer['iceServers'], RTCIceServer[]>();
same<PotluckPlayer['heading'], string>();
video.trackers = ['wss://site.example/announce'];
player.trackers = 'wss://site.example/announce';
video.p2p = 'download-only';
player.drm = { 'com.widevine.alpha': { licenseUrl: 'https://site.example/widevine' } };
// @ts-expect-error -- no such mode
video.p2p = 'sometimes';
// @ts-expect-error -- read only
player.stats = video.stats;
// @ts-expect-error -- not a media element's, nor ours
player.explode();
if (player.error instanceof PotluckError) same<typeof player.error.name, string>();

// Events have their details.
player.addEventListener('potluckwarning', function heard({ detail }) {
  same<typeof detail.code, string>();
  same<typeof this, PotluckPlayer>();
});
video.addEventListener('timeupdate', (event) => {
  same<typeof event, Event>();
});

// The iframe's client.
same<Parameters<typeof embedUrl>[0], string>();
const url: string = embedUrl('https://site.example/embed.html', { src: 'https://site.example/film.m3u8', lazy: true, uploadLimit: 500 });
// @ts-expect-error -- there is nothing to play
embedUrl(url, { lazy: true });
const embed = new PotluckEmbed(document.createElement('iframe'));
same<typeof embed.state, EmbedState | null>();
same<ReturnType<typeof embed.stats>, Promise<EngineStats>>();
