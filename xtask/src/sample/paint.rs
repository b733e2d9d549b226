//! The sample's picture: a lake between hills, from one sunrise to the next in one loop.
//!
//! Everything moves by a whole number of cycles per loop, so the last frame leads into the first
//! and the looped live channel shows no seam. No dithering and no grain: smooth areas cost nothing.

use std::f32::consts::TAU;

use super::noise::{Noise, lerp, smooth};

type Rgb = [f32; 3];

/// Where the lake begins, as a share of the picture's height.
const HORIZON: f32 = 0.62;

/// Colours of one moment of the day; between two moments they are blended.
struct Moment {
    /// Share of the loop.
    at: f32,
    zenith: Rgb,
    middle: Rgb,
    horizon: Rgb,
    cloud_lit: Rgb,
    cloud_shade: Rgb,
    /// The nearest hill; farther ones fade into the haze.
    hill: Rgb,
    /// Light of sun or moon around it.
    glow: Rgb,
    /// 0 by day, 1 when the stars are out.
    night: f32,
}

const DAWN: Moment = Moment {
    at: 0.0,
    zenith: [44.0, 62.0, 118.0],
    middle: [158.0, 122.0, 158.0],
    horizon: [255.0, 182.0, 128.0],
    cloud_lit: [255.0, 196.0, 168.0],
    cloud_shade: [138.0, 108.0, 146.0],
    hill: [42.0, 38.0, 62.0],
    glow: [255.0, 170.0, 90.0],
    night: 0.12,
};

const DAY: [Moment; 9] = [
    DAWN,
    Moment {
        at: 0.11,
        zenith: [74.0, 132.0, 200.0],
        middle: [150.0, 190.0, 222.0],
        horizon: [255.0, 226.0, 186.0],
        cloud_lit: [255.0, 244.0, 226.0],
        cloud_shade: [186.0, 182.0, 200.0],
        hill: [44.0, 70.0, 66.0],
        glow: [255.0, 220.0, 150.0],
        night: 0.0,
    },
    Moment {
        at: 0.30,
        zenith: [48.0, 118.0, 204.0],
        middle: [116.0, 178.0, 230.0],
        horizon: [206.0, 230.0, 240.0],
        cloud_lit: [255.0, 255.0, 255.0],
        cloud_shade: [190.0, 204.0, 222.0],
        hill: [40.0, 82.0, 62.0],
        glow: [255.0, 245.0, 210.0],
        night: 0.0,
    },
    Moment {
        at: 0.46,
        zenith: [62.0, 118.0, 192.0],
        middle: [156.0, 188.0, 214.0],
        horizon: [252.0, 224.0, 180.0],
        cloud_lit: [255.0, 242.0, 216.0],
        cloud_shade: [182.0, 176.0, 190.0],
        hill: [50.0, 74.0, 58.0],
        glow: [255.0, 214.0, 140.0],
        night: 0.0,
    },
    Moment {
        at: 0.575,
        zenith: [56.0, 66.0, 128.0],
        middle: [196.0, 118.0, 130.0],
        horizon: [255.0, 158.0, 84.0],
        cloud_lit: [255.0, 158.0, 120.0],
        cloud_shade: [140.0, 84.0, 116.0],
        hill: [48.0, 36.0, 52.0],
        glow: [255.0, 140.0, 60.0],
        night: 0.05,
    },
    Moment {
        at: 0.66,
        zenith: [20.0, 28.0, 70.0],
        middle: [66.0, 56.0, 112.0],
        horizon: [178.0, 98.0, 108.0],
        cloud_lit: [120.0, 80.0, 118.0],
        cloud_shade: [52.0, 46.0, 88.0],
        hill: [20.0, 20.0, 40.0],
        glow: [190.0, 110.0, 110.0],
        night: 0.55,
    },
    Moment {
        at: 0.75,
        zenith: [7.0, 12.0, 36.0],
        middle: [18.0, 30.0, 68.0],
        horizon: [44.0, 62.0, 104.0],
        cloud_lit: [62.0, 76.0, 116.0],
        cloud_shade: [24.0, 34.0, 66.0],
        hill: [8.0, 13.0, 28.0],
        glow: [150.0, 170.0, 220.0],
        night: 1.0,
    },
    Moment {
        at: 0.90,
        zenith: [12.0, 20.0, 54.0],
        middle: [38.0, 48.0, 96.0],
        horizon: [92.0, 88.0, 128.0],
        cloud_lit: [84.0, 86.0, 130.0],
        cloud_shade: [38.0, 44.0, 84.0],
        hill: [13.0, 17.0, 36.0],
        glow: [160.0, 160.0, 200.0],
        night: 0.85,
    },
    Moment { at: 1.0, ..DAWN },
];

/// One row of hills: its ridge for each column, and how near it is.
struct Hills {
    ridge: Vec<f32>,
    /// Light that the slope catches from the left, -1 to 1.
    slope: Vec<f32>,
    /// 0 far, 1 near.
    near: f32,
}

struct Star {
    x: usize,
    y: usize,
    light: f32,
    cycles: f32,
    phase: f32,
}

/// Sun or moon: where it stands, and how large it is, in pixels.
struct Disc {
    x: f32,
    y: f32,
    radius: f32,
}

/// Paints frames of one size. Made once, since ridges, clouds and stars never change.
pub(super) struct Scene {
    width: usize,
    height: usize,
    /// Rows of sky.
    sky_rows: usize,
    hills: Vec<Hills>,
    clouds: Noise,
    ripples: Noise,
    stars: Vec<Star>,
    shore: Vec<f32>,
    /// Sky at half the size: colour, and how much a cloud covers.
    sky: Vec<[f32; 4]>,
    picture: Vec<Rgb>,
}

impl Scene {
    /// A scene of `width` by `height` pixels, both even.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let sky_rows = (height as f32 * HORIZON) as usize & !1;
        Self {
            width,
            height,
            sky_rows,
            hills: hills(width, sky_rows as f32, height as f32),
            clouds: Noise::fractal(512, 256, 7, 5, 4),
            ripples: Noise::fractal(256, 256, 11, 3, 24),
            stars: stars(width, sky_rows),
            shore: shore(width, height as f32),
            sky: vec![[0.0; 4]; (width / 2) * (sky_rows / 2 + 1)],
            picture: vec![[0.0; 3]; width * height],
        }
    }

    /// Paints the frame at `at`, a share of the loop, as RGB bytes; `seconds` is for the clock.
    pub(super) fn paint(&mut self, at: f32, seconds: u32, frame: &mut [u8]) {
        let moment = moment(at);
        let sun = self.sun(at);
        let moon = self.moon(at);
        self.paint_sky(&moment, at, &sun, &moon);
        self.paint_land(&moment, at, &sun, &moon);
        self.paint_birds(&moment, at);
        self.paint_water(&moment, at, &sun, &moon);
        self.paint_boat(&moment, at);
        self.paint_shore(&moment);
        self.paint_clock(at, seconds);
        for (pixel, colour) in frame.chunks_exact_mut(3).zip(&self.picture) {
            for (byte, value) in pixel.iter_mut().zip(colour) {
                *byte = (value + 0.5).clamp(0.0, 255.0) as u8;
            }
        }
    }

    fn sun(&self, at: f32) -> Disc {
        // Up since a little before the loop's start; `t` runs over the day, from below the hills to
        // below the hills.
        let t = ((at + 0.09).rem_euclid(1.0) / 0.76).min(1.3);
        let (w, rows) = (self.width as f32, self.sky_rows as f32);
        Disc {
            x: w * lerp(0.13, 0.52, t),
            y: rows * (0.90 - 0.74 * (t * TAU / 2.0).sin()),
            radius: w * 0.026,
        }
    }

    fn moon(&self, at: f32) -> Disc {
        let t = (at - 0.63) / 0.36;
        let (w, rows) = (self.width as f32, self.sky_rows as f32);
        let height = if (0.0..=1.0).contains(&t) { (t * TAU / 2.0).sin() } else { -1.0 };
        Disc { x: w * lerp(0.80, 0.34, t), y: rows * (0.92 - 0.66 * height), radius: w * 0.019 }
    }

    fn paint_sky(&mut self, moment: &Moment, at: f32, sun: &Disc, moon: &Disc) {
        let (w, rows) = (self.width / 2, self.sky_rows / 2 + 1);
        let clouds = &self.clouds;
        let scale = 1.0 / self.width as f32;
        let moonlight = moment.night * 0.42;
        in_bands(&mut self.sky, w, |y, row| {
            let v = y as f32 / (rows - 1) as f32;
            let base = if v < 0.55 {
                mix(moment.zenith, moment.middle, smooth(v / 0.55))
            } else {
                mix(moment.middle, moment.horizon, smooth((v - 0.55) / 0.45))
            };
            // Clouds lie in a band, thinner near the horizon where they are far away.
            let band = smooth((v / 0.16).min(1.0)) * smooth(((0.98 - v) / 0.40).clamp(0.0, 1.0));
            let stretch = 1.0 + 1.6 * v;
            for (x, pixel) in row.iter_mut().enumerate() {
                let (px, py) = (x as f32 * 2.0, y as f32 * 2.0);
                let (dx, dy) = ((px - sun.x) * scale, (py - sun.y) * scale);
                let sun_near = (dx * dx + dy * dy * 1.6).sqrt();
                let light =
                    (0.62 / (1.0 + (sun_near * 9.0).powi(2))) * (1.0 - moment.night).max(0.0);
                let (dx, dy) = ((px - moon.x) * scale, (py - moon.y) * scale);
                let moon_near = (dx * dx + dy * dy).sqrt();
                let pale = moonlight / (1.0 + (moon_near * 16.0).powi(2));
                let mut colour = screen(base, moment.glow, light);
                colour = screen(colour, [170.0, 188.0, 226.0], pale);
                let mut cover = 0.0;
                if band > 0.0 {
                    let (u, s) = (px * scale, v * stretch);
                    let low = clouds.at(u * 0.62 + at, s * 0.50 + 0.1);
                    let below = clouds.at(u * 0.62 + at, s * 0.50 + 0.13);
                    let high = clouds.at(u * 0.5 + at * 2.0 + 0.3, s * 1.5 + 0.5);
                    cover = smooth(((low - 0.50) / 0.20).clamp(0.0, 1.0)) * 0.86;
                    cover += (1.0 - cover) * smooth(((high - 0.50) / 0.34).clamp(0.0, 1.0)) * 0.4;
                    cover *= band;
                    let top = (0.55 + (low - below) * 5.0 + light * 0.7).clamp(0.0, 1.0);
                    let tint = mix(moment.cloud_shade, moment.cloud_lit, top);
                    let tint = screen(tint, moment.glow, light * 0.6);
                    colour = mix(colour, screen(tint, [170.0, 188.0, 226.0], pale * 0.6), cover);
                }
                *pixel = [colour[0], colour[1], colour[2], cover];
            }
        });
    }

    fn paint_land(&mut self, moment: &Moment, at: f32, sun: &Disc, moon: &Disc) {
        let (w, rows) = (self.width, self.sky_rows);
        let (sky, hills) = (&self.sky, &self.hills);
        let half = w / 2;
        let haze = mix(moment.horizon, moment.middle, 0.35);
        let from_left = (0.5 - sun.x / w as f32) * 2.0;
        let daylight = 1.0 - moment.night;
        in_bands(&mut self.picture[..w * rows], w, |y, row| {
            let yf = y as f32 * 0.5;
            let (y0, fy) = (yf as usize, yf.fract());
            for (x, pixel) in row.iter_mut().enumerate() {
                // Between the four nearest points of the half-size sky.
                let x0 = (x / 2).min(half - 1);
                let x1 = (x0 + 1).min(half - 1);
                let fx = if x % 2 == 0 { 0.0 } else { 0.5 };
                let mut c = [0.0; 4];
                for (i, value) in c.iter_mut().enumerate() {
                    let top = lerp(sky[y0 * half + x0][i], sky[y0 * half + x1][i], fx);
                    let low = lerp(sky[(y0 + 1) * half + x0][i], sky[(y0 + 1) * half + x1][i], fx);
                    *value = lerp(top, low, fy);
                }
                let mut colour = [c[0], c[1], c[2]];
                let clear = 1.0 - c[3];
                let edge = disc(x, y, sun);
                if edge > 0.0 {
                    let face = screen(moment.glow, [255.0, 255.0, 235.0], 0.75);
                    colour = mix(colour, face, edge * (0.35 + 0.65 * clear));
                }
                let edge = disc(x, y, moon) * smooth(moment.night);
                if edge > 0.0 {
                    colour = mix(colour, moon_face(x, y, moon), edge * (0.3 + 0.7 * clear));
                }
                for layer in hills {
                    let depth = y as f32 - layer.ridge[x];
                    let cover = (depth + 0.5).clamp(0.0, 1.0);
                    if cover > 0.0 {
                        let fade = (1.0 - layer.near).powf(0.8);
                        let mut ground = mix(moment.hill, haze, fade * 0.86);
                        // The side that faces the sun is warmer, and mist lies at the foot.
                        let lit = layer.slope[x] * from_left * 0.9 + 0.25;
                        let lit = lit.max(0.0) * daylight * (1.0 - depth / 260.0).max(0.0);
                        ground = screen(ground, moment.glow, lit * 0.22 * (1.0 - fade * 0.5));
                        let foot = smooth((y as f32 / rows as f32 - 0.72).max(0.0) / 0.28);
                        ground = mix(ground, haze, foot * 0.50 * (0.35 + fade));
                        colour = mix(colour, ground, cover);
                    }
                }
                *pixel = colour;
            }
        });
        for star in &self.stars {
            let under = self.hills.iter().any(|layer| star.y as f32 > layer.ridge[star.x] - 3.0);
            let cover = self.sky[(star.y / 2) * half + star.x / 2][3];
            let twinkle = 0.8 + 0.2 * (TAU * (star.cycles * at) + star.phase).sin();
            let light = star.light * twinkle * moment.night * (1.0 - cover).powi(2);
            if under || light < 0.02 {
                continue;
            }
            for (dx, dy, share) in [(0, 0, 1.0), (1, 0, 0.5), (0, 1, 0.5), (1, 1, 0.25)] {
                let pixel = &mut self.picture[(star.y + dy) * w + star.x + dx];
                *pixel = screen(*pixel, [235.0, 240.0, 255.0], light * share);
            }
        }
    }

    fn paint_birds(&mut self, moment: &Moment, at: f32) {
        let (w, rows) = (self.width as f32, self.sky_rows as f32);
        let ink = mix(moment.hill, moment.middle, 0.25);
        // Two flocks, one in the morning and one before sunset, flying opposite ways.
        for (start, span, from, to, height, size) in
            [(0.04, 0.24, -0.12, 1.06, 0.40, 1.0), (0.40, 0.20, 1.10, -0.14, 0.30, 0.8)]
        {
            let t = (at - start) / span;
            if !(0.0..=1.0).contains(&t) {
                continue;
            }
            for i in 0_u32..7 {
                let side = if i % 2 == 0 { 1.0 } else { -1.0 };
                let rank = i.div_ceil(2) as f32;
                let back = if to > from { -1.0 } else { 1.0 };
                let sway = (TAU * (t * 2.0) + i as f32).sin();
                let x = w * (lerp(from, to, t) + back * rank * 0.024) + sway * 2.0;
                let y = rows * (height + 0.05 * (t * TAU * 0.7).sin() + side * rank * 0.022) + sway;
                let flap = (TAU * t * (26.0 + (i % 3) as f32) + i as f32 * 1.7).sin();
                let span = w * 0.0085 * size;
                let lift = span * (0.22 + 0.42 * flap);
                for side in [-1.0, 1.0] {
                    let tip = (x + side * span, y - lift);
                    let joint = (x + side * span * 0.45, y - lift * 0.75 - span * 0.08);
                    let wing = [
                        (x, y - span * 0.06),
                        joint,
                        tip,
                        (joint.0, joint.1 + span * 0.14),
                        (x, y + span * 0.12),
                    ];
                    self.fill(&wing, ink, 0.9);
                }
            }
        }
    }

    fn paint_water(&mut self, moment: &Moment, at: f32, sun: &Disc, moon: &Disc) {
        let (w, rows, height) = (self.width, self.sky_rows, self.height);
        let (above, water) = self.picture.split_at_mut(w * rows);
        let ripples = &self.ripples;
        let tint = mix(moment.zenith, moment.hill, 0.5);
        let water_rows = (height - rows) as f32;
        let sunlight = (1.0 - moment.night) * smooth((1.1 - sun.y / rows as f32).clamp(0.0, 1.0));
        let low_sun = 0.35 + 0.65 * smooth((sun.y / rows as f32).clamp(0.0, 1.0));
        let moonlight = moment.night * smooth((1.1 - moon.y / rows as f32).clamp(0.0, 1.0));
        in_bands(water, w, |y, row| {
            let depth = (y as f32 + 0.5) / water_rows;
            // Waves look shorter far away: equal steps on the water are ever smaller rows.
            let far = 1.0 / (0.06 + depth);
            let wave =
                (TAU * (far * 2.6 + at * 22.0)).sin() + (TAU * (far * 1.7 - at * 14.0)).sin();
            let mirror = rows as f32 - 1.0 - y as f32 * 1.22 - wave * depth * 1.6;
            let source = mirror.clamp(0.0, (rows - 1) as f32);
            let (y0, fy) = (source as usize, source.fract());
            let y1 = (y0 + 1).min(rows - 1);
            let shift = wave * (0.6 + 5.0 * depth);
            let dim = 0.12 + 0.42 * depth + wave * 0.018;
            for (x, pixel) in row.iter_mut().enumerate() {
                let u = (x as f32 / w as f32 - 0.5) * far * 0.30;
                let swell = ripples.at(u + at, far * 0.16 + at * 2.0) - 0.5;
                let sx = (x as f32 + shift + swell * 26.0 * depth).clamp(0.0, (w - 1) as f32);
                let (x0, fx) = (sx as usize, sx.fract());
                let x1 = (x0 + 1).min(w - 1);
                let top = mix(above[y0 * w + x0], above[y0 * w + x1], fx);
                let low = mix(above[y1 * w + x0], above[y1 * w + x1], fx);
                let mut colour = mix(mix(top, low, fy), tint, (dim + swell * 0.16).clamp(0.0, 0.8));
                for (disc, light, glow) in [
                    (sun, sunlight * low_sun, moment.glow),
                    (moon, moonlight, [200.0, 212.0, 240.0]),
                ] {
                    if light > 0.01 {
                        let path = (x as f32 - disc.x) / (disc.radius * (0.8 + 2.6 * depth));
                        let sparkle = smooth(((swell + 0.10) * 3.6).clamp(0.0, 1.0));
                        let strength = light * (-path * path).exp() * (0.16 + 0.66 * sparkle);
                        colour = screen(colour, glow, strength);
                    }
                }
                // A thin bright line where the far shore meets the water.
                let line = (1.0 - y as f32 / 3.0).max(0.0) * 0.25;
                *pixel = mix(colour, moment.horizon, line);
            }
        });
    }

    fn paint_boat(&mut self, moment: &Moment, at: f32) {
        let (w, h) = (self.width as f32, self.height as f32);
        let x = w * lerp(1.08, -0.08, at);
        let bob = (TAU * at * 20.0).sin() * 0.8;
        let y = h * 0.715 + bob;
        let s = w * 0.0185;
        let lean = (TAU * at * 10.0).sin() * 0.035;
        let hull = mix(moment.hill, [70.0, 40.0, 30.0], 0.35 * (1.0 - moment.night));
        let cloth = mix(
            mix(moment.cloud_lit, [255.0, 248.0, 236.0], 0.3),
            moment.hill,
            moment.night * 0.55,
        );
        let shape = |points: &[(f32, f32)], flip: f32| -> Vec<(f32, f32)> {
            points.iter().map(|p| (x + (p.0 - p.1 * lean) * s, y + p.1 * s * flip)).collect()
        };
        let main = [(-0.08, -2.5), (-0.02, -0.35), (-1.15, -0.35)];
        let jib = [(0.02, -2.2), (0.85, -0.35), (0.04, -0.35)];
        let body = [(-1.25, -0.22), (1.25, -0.26), (0.85, 0.14), (-0.95, 0.14)];
        // The mirror image first: squeezed, and half lost in the ripples.
        for (points, colour, alpha) in
            [(&main[..], cloth, 0.30), (&jib[..], cloth, 0.26), (&body[..], hull, 0.45)]
        {
            self.fill(&shape(points, -0.8), colour, alpha);
        }
        self.fill(&shape(&main, 1.0), cloth, 1.0);
        self.fill(&shape(&jib, 1.0), mix(cloth, moment.cloud_shade, 0.35), 1.0);
        self.fill(&shape(&body, 1.0), hull, 1.0);
        if moment.night > 0.3 {
            let glow = (moment.night - 0.3) / 0.7;
            self.shine(x + 0.2 * s, y - 0.45 * s, s * 0.9, [255.0, 196.0, 110.0], 0.95 * glow);
            self.shine(x + 0.2 * s, y + 0.9 * s, s * 1.1, [255.0, 180.0, 90.0], 0.35 * glow);
        }
    }

    fn paint_shore(&mut self, moment: &Moment) {
        let w = self.width;
        let from = (self.height as f32 * 0.55) as usize;
        let ink = mix(moment.hill, [4.0, 8.0, 12.0], 0.62);
        for y in from..self.height {
            for x in 0..w {
                let depth = y as f32 - self.shore[x];
                if depth > -0.5 {
                    let pixel = &mut self.picture[y * w + x];
                    let ground = screen(ink, moment.hill, (0.3 - depth * 0.004).max(0.0));
                    *pixel = mix(*pixel, ground, (depth + 0.5).min(1.0));
                }
            }
        }
    }

    fn paint_clock(&mut self, at: f32, seconds: u32) {
        let (w, h) = (self.width, self.height);
        let line = (h / 240).max(2);
        let end = at * w as f32;
        for y in h - line..h {
            for x in 0..w {
                let done = (end - x as f32).clamp(0.0, 1.0);
                let pixel = &mut self.picture[y * w + x];
                *pixel = mix(*pixel, [255.0, 244.0, 224.0], 0.14 + 0.62 * done);
            }
        }
        let size = h as f32 / 240.0;
        let text = [seconds / 600, seconds / 60 % 10, 10, seconds % 60 / 10, seconds % 10];
        let advance = |glyph: u32| if glyph == 10 { 3.4 * size } else { 6.4 * size };
        let total: f32 = text.iter().map(|&glyph| advance(glyph)).sum();
        let top = h as f32 * 0.052;
        let mut left = w as f32 * 0.965 - total;
        for glyph in text {
            self.paint_glyph(glyph, left, top, size);
            left += advance(glyph);
        }
    }

    fn paint_glyph(&mut self, glyph: u32, left: f32, top: f32, size: f32) {
        let rows = GLYPHS[glyph as usize];
        let dot = |x: i32, y: i32| -> f32 {
            let inside = (0..5).contains(&x) && (0..7).contains(&y);
            if inside && rows[y as usize] >> (4 - x) & 1 == 1 { 1.0 } else { 0.0 }
        };
        for y in (top - size) as usize..(top + size * 8.0) as usize {
            for x in (left - size) as usize..(left + size * 6.0) as usize {
                let (gx, gy) = ((x as f32 - left) / size - 0.5, (y as f32 - top) / size - 0.5);
                let (x0, y0) = (gx.floor() as i32, gy.floor() as i32);
                let (fx, fy) = (gx - gx.floor(), gy - gy.floor());
                let upper = lerp(dot(x0, y0), dot(x0 + 1, y0), fx);
                let lower = lerp(dot(x0, y0 + 1), dot(x0 + 1, y0 + 1), fx);
                // Cutting the blurred dots at a level rounds the corners.
                let cover = ((lerp(upper, lower, fy) - 0.36) * 4.0).clamp(0.0, 1.0);
                if cover > 0.0 && x < self.width && y < self.height {
                    let pixel = &mut self.picture[y * self.width + x];
                    *pixel = mix(*pixel, [255.0, 250.0, 240.0], cover * 0.82);
                }
            }
        }
    }

    /// Fills a polygon, edges smoothed by sixteen samples a pixel.
    fn fill(&mut self, points: &[(f32, f32)], colour: Rgb, alpha: f32) {
        let bound = |pick: fn(&(f32, f32)) -> f32, limit: usize| {
            let low = points.iter().map(pick).fold(f32::MAX, f32::min).floor().max(0.0);
            let high = points.iter().map(pick).fold(f32::MIN, f32::max).ceil() + 1.0;
            low as usize..(high.max(0.0) as usize).min(limit)
        };
        for y in bound(|p| p.1, self.height) {
            for x in bound(|p| p.0, self.width) {
                let hits = (0..16)
                    .filter(|i| {
                        let sx = x as f32 + (i % 4) as f32 / 4.0 + 0.125;
                        let sy = y as f32 + (i / 4) as f32 / 4.0 + 0.125;
                        inside(points, sx, sy)
                    })
                    .count();
                if hits > 0 {
                    let pixel = &mut self.picture[y * self.width + x];
                    *pixel = mix(*pixel, colour, alpha * hits as f32 / 16.0);
                }
            }
        }
    }

    /// A soft light around a point.
    fn shine(&mut self, x: f32, y: f32, radius: f32, colour: Rgb, light: f32) {
        let reach = radius * 3.0;
        let rows = (y - reach).max(0.0) as usize..((y + reach).max(0.0) as usize).min(self.height);
        for py in rows {
            let columns =
                (x - reach).max(0.0) as usize..((x + reach).max(0.0) as usize).min(self.width);
            for px in columns {
                let far = ((px as f32 - x).powi(2) + (py as f32 - y).powi(2)) / (radius * radius);
                let pixel = &mut self.picture[py * self.width + px];
                *pixel = screen(*pixel, colour, light * (-far * 1.6).exp());
            }
        }
    }
}

/// Rows of a matrix of 5 by 7 dots: the digits, then the colon.
const GLYPHS: [[u8; 7]; 11] = [
    [0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e],
    [0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e],
    [0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f],
    [0x0e, 0x11, 0x01, 0x06, 0x01, 0x11, 0x0e],
    [0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02],
    [0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e],
    [0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e],
    [0x1f, 0x01, 0x02, 0x04, 0x04, 0x08, 0x08],
    [0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e],
    [0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c],
    [0x00, 0x08, 0x08, 0x00, 0x08, 0x08, 0x00],
];

fn hills(width: usize, rows: f32, height: f32) -> Vec<Hills> {
    // Ridge height and roughness as shares of the picture's height, waves across the picture.
    [
        (0.0, 0.225, 0.120, 2.1, 1),
        (0.30, 0.150, 0.085, 2.9, 2),
        (0.58, 0.095, 0.060, 3.7, 3),
        (0.86, 0.040, 0.050, 2.3, 4),
    ]
    .into_iter()
    .map(|(near, base, swing, waves, seed)| {
        let noise = Noise::fractal(512, 8, 20 + seed, 5, 4);
        let fine = Noise::fractal(1024, 4, 40 + seed, 2, 128);
        let ridge: Vec<f32> = (0..width)
            .map(|x| {
                let u = x as f32 / width as f32;
                let wave = (TAU * (u * waves * 0.5 + seed as f32 * 0.29)).sin() * 0.45;
                let rough = (noise.at(u * 0.5 * waves / 2.0, seed as f32 * 0.21) - 0.5) * 2.6;
                // Tree tops on the nearer hills.
                let trees = (fine.at(u * 1.6, 0.3) - 0.5).abs() * 0.030 * near;
                rows - height * (base + swing * (wave + rough) + trees).max(0.004)
            })
            .collect();
        let slope = (0..width)
            .map(|x| {
                let (before, after) = (x.saturating_sub(6), (x + 6).min(width - 1));
                ((ridge[after] - ridge[before]) / (after - before) as f32 * -1.8).clamp(-1.0, 1.0)
            })
            .collect();
        Hills { ridge, slope, near }
    })
    .collect()
}

/// The near shore's outline: reeds and firs in both corners.
fn shore(width: usize, height: f32) -> Vec<f32> {
    let fine = Noise::fractal(512, 4, 61, 3, 96);
    let mut outline: Vec<f32> = (0..width)
        .map(|x| {
            let u = x as f32 / width as f32;
            let bank = 0.052 * smooth((0.30 - u).max(0.0) / 0.30)
                + 0.075 * smooth((u - 0.66).max(0.0) / 0.34);
            let reed = (fine.at(u * 1.3, 0.2) - 0.35).max(0.0) * 0.045 * (bank * 26.0).min(1.0);
            height * (1.0 - bank - reed) + 1.0
        })
        .collect();
    let firs: [(f32, f32); 7] = [
        (0.030, 0.30),
        (0.072, 0.21),
        (0.108, 0.12),
        (0.905, 0.15),
        (0.935, 0.26),
        (0.968, 0.36),
        (0.995, 0.24),
    ];
    for (centre, tall) in firs {
        let foot = outline[((centre * width as f32) as usize).min(width - 1)];
        let top = foot - tall * height;
        let half = tall * height * 0.20;
        for (x, edge) in outline.iter_mut().enumerate() {
            let off = (x as f32 - centre * width as f32).abs();
            if off < half {
                // Branches: a cone whose edge steps down in boughs.
                let part = off / half;
                let bough = (part * 9.0).fract() * 0.07 * (1.0 - part * 0.4);
                *edge = edge.min(top + (foot - top) * (part - bough + 0.02).clamp(0.0, 1.0));
            }
        }
    }
    outline
}

fn stars(width: usize, rows: usize) -> Vec<Star> {
    let mut random = super::noise::Random::new(97);
    (0..240)
        .map(|_| {
            let light = random.unit();
            Star {
                x: (random.unit() * (width - 4) as f32) as usize,
                y: (random.unit().powf(1.3) * (rows - 4) as f32) as usize,
                light: 0.22 + 0.78 * light.powi(4),
                cycles: 6.0 + (random.unit() * 8.0).floor(),
                phase: random.unit() * TAU,
            }
        })
        .collect()
}

fn moment(at: f32) -> Moment {
    let next = DAY.iter().position(|moment| moment.at > at).unwrap_or(DAY.len() - 1).max(1);
    let (a, b) = (&DAY[next - 1], &DAY[next]);
    let t = smooth(((at - a.at) / (b.at - a.at)).clamp(0.0, 1.0));
    Moment {
        at,
        zenith: mix(a.zenith, b.zenith, t),
        middle: mix(a.middle, b.middle, t),
        horizon: mix(a.horizon, b.horizon, t),
        cloud_lit: mix(a.cloud_lit, b.cloud_lit, t),
        cloud_shade: mix(a.cloud_shade, b.cloud_shade, t),
        hill: mix(a.hill, b.hill, t),
        glow: mix(a.glow, b.glow, t),
        night: lerp(a.night, b.night, t),
    }
}

fn disc(x: usize, y: usize, disc: &Disc) -> f32 {
    let (dx, dy) = (x as f32 - disc.x, y as f32 - disc.y);
    if dx.abs() > disc.radius + 1.0 || dy.abs() > disc.radius + 1.0 {
        return 0.0;
    }
    (disc.radius - (dx * dx + dy * dy).sqrt() + 0.5).clamp(0.0, 1.0)
}

fn moon_face(x: usize, y: usize, moon: &Disc) -> Rgb {
    let (u, v) = ((x as f32 - moon.x) / moon.radius, (y as f32 - moon.y) / moon.radius);
    let mut light = 1.0 - 0.10 * (u * u + v * v);
    for (cx, cy, r, dark) in
        [(-0.35, -0.25, 0.42, 0.16), (0.15, 0.30, 0.34, 0.13), (0.42, -0.38, 0.22, 0.12)]
    {
        let far = ((u - cx).powi(2) + (v - cy).powi(2)) / (r * r);
        light -= dark * (-far * 1.4_f32).exp();
    }
    [238.0 * light, 238.0 * light, 228.0 * light]
}

fn inside(points: &[(f32, f32)], x: f32, y: f32) -> bool {
    let mut odd = false;
    let mut last = points[points.len() - 1];
    for &point in points {
        let crosses = (point.1 > y) != (last.1 > y);
        if crosses && x < (last.0 - point.0) * (y - point.1) / (last.1 - point.1) + point.0 {
            odd = !odd;
        }
        last = point;
    }
    odd
}

fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    [lerp(a[0], b[0], t), lerp(a[1], b[1], t), lerp(a[2], b[2], t)]
}

/// Adds light without ever passing white.
fn screen(base: Rgb, light: Rgb, strength: f32) -> Rgb {
    std::array::from_fn(|i| base[i] + (255.0 - base[i]) * (light[i] / 255.0) * strength)
}

/// Calls `paint` for each row, on as many threads as there are processors.
fn in_bands<T: Send>(pixels: &mut [T], width: usize, paint: impl Fn(usize, &mut [T]) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = pixels.len() / width;
    let band = rows.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (index, part) in pixels.chunks_mut(band * width).enumerate() {
            let paint = &paint;
            scope.spawn(move || {
                for (offset, row) in part.chunks_mut(width).enumerate() {
                    paint(index * band + offset, row);
                }
            });
        }
    });
}
