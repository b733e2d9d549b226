// The keys of keyboards, headsets and lock screens (W3C Media Session).

import { seekBy, type Control } from './control.js';
import { ignore } from './dom.js';

/** For the player that plays: the last one that began has the session. */
export function joinMediaSession({ player, video }: Control['stage']): void {
  const session = (navigator as Partial<Navigator>).mediaSession;
  if (!session) return;
  const actions: [MediaSessionAction, MediaSessionActionHandler][] = [
    ['play', () => { video.play().catch(ignore); }],
    ['pause', () => { video.pause(); }],
    ['seekbackward', ({ seekOffset }) => { seekBy(video, -(seekOffset ?? 10)); }],
    ['seekforward', ({ seekOffset }) => { seekBy(video, seekOffset ?? 10); }],
    ['seekto', ({ seekTime }) => { if (seekTime !== undefined) video.currentTime = seekTime; }],
  ];
  video.addEventListener('playing', () => {
    session.metadata = new MediaMetadata({ title: player.heading || document.title, artwork: video.poster ? [{ src: video.poster }] : [] });
    for (const [action, act] of actions) {
      try {
        session.setActionHandler(action, act);
      } catch {
        // A browser that does not know the action.
      }
    }
  });
}
