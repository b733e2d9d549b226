import videojs from 'video.js';
import 'video.js/dist/video-js.css';
import { registerPotluck } from './potluck-tech.js';

const query = new URLSearchParams(location.search);
registerPotluck(videojs);
globalThis.player = videojs('film', {
  techOrder: ['potluck', 'html5'],
  potluck: { trackers: query.get('trackers') ?? '' },
  sources: [{ src: query.get('src'), type: 'application/vnd.apple.mpegurl' }],
});
