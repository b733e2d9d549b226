// What the package's types promise, for whoever writes against them. Checked by the compiler, against the package as it is packed; never run.

import { expectTypeOf } from 'expect-type';
import 'potluck-player';
import { PotluckError, type DrmConfiguration, type EngineStats, type P2pAttribute, type PotluckPlayer, type PotluckVideo, type PotluckWarning, type Recording, type WaitingReason } from 'potluck-player';
import { PotluckEmbed, embedUrl, type EmbedOptions, type EmbedState } from 'potluck-player/embed';
import type { PotluckPlayer as Player } from 'potluck-player/player';
import type { PotluckVideo as Video } from 'potluck-player/video';

// The tags are known to the DOM's types.
const video = document.createElement('potluck-video');
const player = document.createElement('potluck-player');
expectTypeOf(video).toEqualTypeOf<PotluckVideo>();
expectTypeOf(player).toEqualTypeOf<PotluckPlayer>();
expectTypeOf(document.querySelector('potluck-player')).toEqualTypeOf<PotluckPlayer | null>();
expectTypeOf<Player>().toEqualTypeOf<PotluckPlayer>();
expectTypeOf<Video>().toEqualTypeOf<PotluckVideo>();
expectTypeOf<PotluckPlayer['video']>().toEqualTypeOf<PotluckVideo>();

// A media element, to code that expects one.
type Media = Pick<HTMLVideoElement, 'play' | 'pause' | 'load' | 'canPlayType' | 'currentTime' | 'duration' | 'paused' | 'ended' | 'muted' | 'volume' | 'playbackRate' | 'textTracks' | 'buffered' | 'seekable' | 'currentSrc' | 'readyState' | 'videoWidth' | 'videoHeight' | 'poster' | 'error'>;
expectTypeOf<PotluckVideo>().toExtend<Media>();
expectTypeOf<PotluckPlayer>().toExtend<Media>();
expectTypeOf<PotluckVideo>().toExtend<HTMLElement>();
expectTypeOf(video.play).returns.toEqualTypeOf<Promise<void>>();
expectTypeOf(video.src).toEqualTypeOf<string>();

// Its own.
expectTypeOf(video.stats).toEqualTypeOf<EngineStats>();
expectTypeOf(video.streamType).toEqualTypeOf<'live' | 'on-demand' | 'unknown'>();
expectTypeOf(video.waitingReason).toEqualTypeOf<WaitingReason | null>();
expectTypeOf(video.warnings).toEqualTypeOf<readonly PotluckWarning[]>();
expectTypeOf(video.targetLiveWindow).toEqualTypeOf<number>();
expectTypeOf(video.liveEdgeStart).toEqualTypeOf<number>();
expectTypeOf(player.uploadLimit).toEqualTypeOf<number | null>();
expectTypeOf(player.uploadBudget).toEqualTypeOf<number | null>();
expectTypeOf(player.uploadHidden).toEqualTypeOf<boolean>();
expectTypeOf(player.iceServers).toEqualTypeOf<RTCIceServer[]>();
expectTypeOf(player.p2p).toEqualTypeOf<P2pAttribute>();
expectTypeOf(player.drm).toEqualTypeOf<DrmConfiguration | null>();
expectTypeOf(player.swarmToken).toEqualTypeOf<string | null>();
expectTypeOf(player.minViewers).toEqualTypeOf<number>();
expectTypeOf(player.heading).toEqualTypeOf<string>();
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
if (player.error instanceof PotluckError) expectTypeOf(player.error.name).toEqualTypeOf<string>();

// A recording, for bug reports.
expectTypeOf(video.record).parameters.toEqualTypeOf<[]>();
expectTypeOf(video.record).returns.resolves.toEqualTypeOf<Recording>();
expectTypeOf(player.record).returns.resolves.toEqualTypeOf<Recording>();
expectTypeOf<Recording['bytes']>().toEqualTypeOf<number>();
expectTypeOf<Recording['end']>().returns.resolves.toEqualTypeOf<Blob>();

// Events have their details.
player.addEventListener('potluckwarning', function heard({ detail }) {
  expectTypeOf(detail).toEqualTypeOf<PotluckWarning>();
  expectTypeOf(detail.code).toEqualTypeOf<string>();
  expectTypeOf(this).toEqualTypeOf<PotluckPlayer>();
});
video.addEventListener('timeupdate', (event) => {
  expectTypeOf(event).toEqualTypeOf<Event>();
});
video.addEventListener('statschange', function heard() {
  expectTypeOf(this).toEqualTypeOf<PotluckVideo>();
});

// The iframe's client.
expectTypeOf(embedUrl).parameters.toEqualTypeOf<[page: string, options: EmbedOptions]>();
const url: string = embedUrl('https://site.example/embed.html', { src: 'https://site.example/film.m3u8', lazy: true, uploadLimit: 500, minViewers: 3, swarmToken: 'a.b.c' });
// @ts-expect-error -- there is nothing to play
embedUrl(url, { lazy: true });
const embed = new PotluckEmbed(document.createElement('iframe'));
expectTypeOf(embed.state).toEqualTypeOf<EmbedState | null>();
expectTypeOf(embed.stats).returns.resolves.toEqualTypeOf<EngineStats>();
