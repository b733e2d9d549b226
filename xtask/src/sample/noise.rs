//! Seeded randomness and smooth noise: the same sample on each machine.

/// A small generator (xorshift64*), good enough for pictures and tunes.
pub(super) struct Random(u64);

impl Random {
    /// A generator that gives the same numbers for the same seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number in 0..1.
    pub(super) fn unit(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1 << 24) as f32
    }
}

/// A texture of values in about 0..1 that repeats in both directions.
pub(super) struct Noise {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Noise {
    /// Sums `octaves` of smooth noise, the first with `cells` cells across.
    pub(super) fn fractal(
        width: usize,
        height: usize,
        seed: u64,
        octaves: u32,
        cells: usize,
    ) -> Self {
        let mut values = vec![0.0; width * height];
        let mut random = Random::new(seed);
        let (mut strength, mut total) = (1.0, 0.0);
        for octave in 0..octaves {
            let columns = (cells << octave).min(width);
            let rows = ((cells << octave) * height / width).clamp(1, height);
            let lattice: Vec<f32> = (0..columns * rows).map(|_| random.unit()).collect();
            for y in 0..height {
                let v = y as f32 / height as f32 * rows as f32;
                let (y0, fy) = (v as usize % rows, smooth(v.fract()));
                let y1 = (y0 + 1) % rows;
                for x in 0..width {
                    let u = x as f32 / width as f32 * columns as f32;
                    let (x0, fx) = (u as usize % columns, smooth(u.fract()));
                    let x1 = (x0 + 1) % columns;
                    let top = lerp(lattice[y0 * columns + x0], lattice[y0 * columns + x1], fx);
                    let low = lerp(lattice[y1 * columns + x0], lattice[y1 * columns + x1], fx);
                    values[y * width + x] += lerp(top, low, fy) * strength;
                }
            }
            total += strength;
            strength *= 0.5;
        }
        for value in &mut values {
            *value /= total;
        }
        Self { width, height, values }
    }

    /// The value at (`u`, `v`), where the texture spans 0..1 and repeats.
    pub(super) fn at(&self, u: f32, v: f32) -> f32 {
        let x = (u - u.floor()) * self.width as f32;
        let y = (v - v.floor()) * self.height as f32;
        let (x0, y0) = (x as usize % self.width, y as usize % self.height);
        let (x1, y1) = ((x0 + 1) % self.width, (y0 + 1) % self.height);
        let (fx, fy) = (x.fract(), y.fract());
        let top = lerp(self.values[y0 * self.width + x0], self.values[y0 * self.width + x1], fx);
        let low = lerp(self.values[y1 * self.width + x0], self.values[y1 * self.width + x1], fx);
        lerp(top, low, fy)
    }
}

/// Between `a` and `b`.
pub(super) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Eases 0..1 in and out.
pub(super) fn smooth(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}
