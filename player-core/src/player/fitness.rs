//! Which variants are worth having here: by screen, element, decoder and codec.

use super::Player;
use crate::abr::Rung;
use crate::hls::{CodecKind, codecs_of_kind};
use crate::io::Display;
use crate::time::Instant;

/// Frames over which dropped ones are counted.
const FRAMES: u32 = 100;
/// More than one of so many dropped is too many.
const DROPPED: u32 = 5;

/// What is known of screen, element and decoder.
#[derive(Debug, Default)]
pub(super) struct Fitness {
    pub(super) display: Display,
    /// By variant: 0 does not play smoothly, 2 plays at little power.
    pub(super) levels: Vec<u8>,
    /// All frames and dropped ones when the count began, and the variant then.
    counted: Option<(u32, u32, usize)>,
    /// Pixels a second that proved too many.
    too_much: Option<f64>,
}

impl Fitness {
    /// Nothing is known yet but the display.
    pub(super) fn of(display: Display) -> Self {
        Self { display, ..Self::default() }
    }
}

impl Player {
    /// The variants that may be chosen, with what the choice depends on.
    pub(super) fn rungs(&self, unfit: &dyn Fn(usize) -> bool) -> Vec<Rung> {
        let Fitness { display, levels, too_much, .. } = &self.fitness;
        let variants = &self.title.variants;
        let listed = self.title.multivariant.as_ref().map_or(&[][..], |listed| &listed.variants);
        let mut rungs = Vec::new();
        for (index, variant) in variants.iter().enumerate() {
            if variant.playable && !unfit(index) {
                rungs.push(index);
            }
        }
        let level = |index: usize| levels.get(index).copied().unwrap_or(1);
        let pixels =
            |index: usize| f64::from(variants[index].width) * f64::from(variants[index].height);
        // What leaves nothing is no rule.
        let keep = |rungs: &mut Vec<usize>, rule: &dyn Fn(usize) -> bool| {
            if rungs.iter().any(|index| rule(*index)) {
                rungs.retain(|index| rule(*index));
            }
        };
        keep(&mut rungs, &|index| level(index) > 0);
        keep(&mut rungs, &|index| too_much.is_none_or(|limit| self.pixel_rate(index) < limit));
        // One dynamic range and one codec all along: a change of either may be seen.
        keep(&mut rungs, &|index| {
            let range = listed.get(index).and_then(|listed| listed.video_range.as_deref());
            range.is_some_and(|range| range != "SDR") == display.hdr
        });
        let best = rungs.iter().copied().max_by_key(|index| {
            let family = family(&variants[*index].codecs);
            let alike =
                rungs.iter().filter(|other| family == self::family(&variants[**other].codecs));
            (!family.is_empty(), level(*index), alike.count(), std::cmp::Reverse(*index))
        });
        if let Some(best) = best {
            keep(&mut rungs, &|index| {
                family(&variants[index].codecs) == family(&variants[best].codecs)
            });
        }
        // The smallest that covers the element is the largest that makes sense.
        let covers = |index: usize| {
            let variant = &variants[index];
            variant.width >= display.width && variant.height >= display.height
        };
        let covering = rungs.iter().copied().filter(|index| covers(*index) && pixels(*index) > 0.0);
        let limit = covering.map(pixels).min_by(f64::total_cmp);
        if let Some(limit) = limit.filter(|_| display.width > 0) {
            keep(&mut rungs, &|index| pixels(index) <= limit);
        }
        let scored =
            |index: &usize| listed.get(*index).is_some_and(|listed| listed.score.is_some());
        let all_scored = rungs.iter().all(scored);
        let mut all = Vec::new();
        for index in rungs {
            let peak = variants[index].bitrate_bps as f64;
            let of = listed.get(index);
            let average = of.and_then(|of| of.average_bandwidth);
            let bitrate_bps = average.map_or(peak, |bps| (bps as f64).min(peak));
            let score = of.and_then(|of| of.score).filter(|_| all_scored);
            let id = self.title.lists[index].id;
            let peers = self.swarm.as_ref().map_or(0, |swarm| swarm.watchers(id));
            all.push(Rung { index, bitrate_bps, quality: score.unwrap_or(bitrate_bps), peers });
        }
        all
    }

    fn pixel_rate(&self, index: usize) -> f64 {
        let variant = &self.title.variants[index];
        let rate = if variant.frame_rate > 0.0 { variant.frame_rate } else { 30.0 };
        f64::from(variant.width) * f64::from(variant.height) * rate
    }

    /// Where too many frames are dropped, less is chosen from now on.
    pub(super) fn count_frames(&mut self, now: Instant, total: u32, dropped: u32) {
        let Some(variant) = self.tracks.first().map(|track| track.list) else { return };
        let rate = self.pixel_rate(variant);
        let fitness = &mut self.fitness;
        let known = fitness.counted.filter(|(all, lost, of)| {
            // A rendition that was switched to, or other media, begins to count anew.
            *all <= total && *lost <= dropped && *of == variant
        });
        let Some((all, lost, _)) = known else {
            fitness.counted = Some((total, dropped, variant));
            return;
        };
        if total - all < FRAMES {
            return;
        }
        fitness.counted = Some((total, dropped, variant));
        if (dropped - lost).saturating_mul(DROPPED) > total - all && rate > 0.0 {
            fitness.too_much = Some(rate);
            self.fell_at = Some(now);
        }
    }
}

/// What kind of decoder a codec string needs: `avc3` is `avc1`, `hev1` is `hvc1`; empty without video.
fn family(codecs: &str) -> &str {
    let video = codecs_of_kind(codecs, Some(CodecKind::Video)).next().unwrap_or_default();
    match video.get(..4).unwrap_or_default() {
        "avc3" => "avc1",
        "hev1" => "hvc1",
        "dvhe" => "dvh1",
        family => family,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::hls::{MultivariantPlaylist, parse_multivariant};
    use crate::io::VariantInfo;
    use crate::player::title::List;
    use crate::wire::RenditionId;

    /// A player that has read these variants: attributes beyond `BANDWIDTH`, and size.
    fn player(variants: &[(&str, u32, u32)]) -> Player {
        let mut text = String::from("#EXTM3U\n");
        for (attributes, ..) in variants {
            text += &["#EXT-X-STREAM-INF:BANDWIDTH=1000,", attributes, "\nv.m3u8\n"].concat();
        }
        let read: MultivariantPlaylist = parse_multivariant(&text, "").expect("a playlist");
        let mut player = Player::new(Config::default(), 1);
        for (index, (variant, (_, width, height))) in read.variants.iter().zip(variants).enumerate()
        {
            player.title.lists.push(List::new(RenditionId(index as u32), String::new()));
            player.title.variants.push(VariantInfo {
                id: index as u32,
                bitrate_bps: 1000 * (index as u64 + 1),
                width: *width,
                height: *height,
                frame_rate: 25.0,
                codecs: variant.codecs.clone(),
                playable: true,
            });
        }
        player.title.multivariant = Some(read);
        player
    }

    fn offered(player: &Player) -> Vec<usize> {
        player.rungs(&|_| false).iter().map(|rung| rung.index).collect()
    }

    const AVC: &str = "CODECS=\"avc1.64001f\"";

    #[test]
    fn what_is_larger_than_the_element_is_left_out() {
        let mut player = player(&[(AVC, 426, 240), (AVC, 854, 480), (AVC, 1280, 720)]);
        assert_eq!(offered(&player), [0, 1, 2], "no limit");
        player.fitness.display = Display { width: 640, height: 360, ..Display::default() };
        assert_eq!(offered(&player), [0, 1]);
        player.fitness.display.width = 2000;
        assert_eq!(offered(&player), [0, 1, 2], "nothing covers it");
        player.fitness.display = Display { width: 10, height: 10, ..Display::default() };
        assert_eq!(offered(&player), [0]);
    }

    #[test]
    fn a_screen_gets_the_dynamic_range_that_it_shows() {
        let pq = "CODECS=\"avc1.64001f\",VIDEO-RANGE=PQ";
        let mut player = player(&[(AVC, 640, 360), (pq, 640, 360)]);
        assert_eq!(offered(&player), [0]);
        player.fitness.display.hdr = true;
        assert_eq!(offered(&player), [1]);
    }

    #[test]
    fn one_codec_is_kept_to_and_the_one_that_is_decoded_at_little_power() {
        let hevc = "CODECS=\"hvc1.1.6.L93\"";
        let mut player = player(&[(AVC, 640, 360), (hevc, 640, 360), (AVC, 1280, 720)]);
        assert_eq!(offered(&player), [0, 2], "most variants have it");
        player.fitness.levels = vec![1, 2, 1];
        assert_eq!(offered(&player), [1]);
        player.fitness.levels = vec![1, 0, 0];
        assert_eq!(offered(&player), [0], "what does not play smoothly is left out");
    }

    #[test]
    fn what_drops_frames_is_left_out_from_then_on() {
        let mut player = player(&[(AVC, 640, 360), (AVC, 1280, 720), (AVC, 1920, 1080)]);
        let track = crate::player::track::TrackState::new(crate::io::Track::Main, 1, String::new());
        player.tracks.push(track);
        let now = Instant::default();
        player.count_frames(now, 100, 0);
        player.count_frames(now, 210, 10);
        assert_eq!(offered(&player), [0, 1, 2], "a few are no matter");
        player.count_frames(now, 320, 60);
        assert_eq!(offered(&player), [0]);
    }

    #[test]
    fn scores_count_if_each_variant_has_one() {
        let quality = |variants: &[(&str, u32, u32)]| -> Vec<f64> {
            player(variants).rungs(&|_| false).iter().map(|rung| rung.quality).collect()
        };
        assert_eq!(quality(&[("SCORE=2", 0, 0), ("SCORE=1.5", 0, 0)]), [2.0, 1.5]);
        assert_eq!(quality(&[("SCORE=2", 0, 0), ("NAME=\"x\"", 0, 0)]), [1000.0, 2000.0]);
    }
}
