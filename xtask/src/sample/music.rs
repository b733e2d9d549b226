//! The sample's music: slow chords with a few bells over them, ending where it begins.

use std::f32::consts::TAU;

use super::noise::Random;

/// Samples per second and channel.
pub(super) const RATE: u32 = 48_000;

/// Semitones above the A at 110 Hz, four voices a chord; each sounds for an eighth of the loop.
const CHORDS: [[i32; 4]; 8] = [
    [3, 10, 14, 19],
    [0, 7, 14, 19],
    [-4, 8, 12, 15],
    [-2, 8, 14, 17],
    [3, 10, 15, 22],
    [0, 10, 15, 19],
    [-4, 7, 12, 19],
    [-2, 10, 12, 17],
];

/// Notes that fit each of the chords.
const BELLS: [i32; 7] = [27, 29, 31, 34, 36, 39, 41];

/// A WAV file of `seconds` in 16-bit stereo.
pub(super) fn wav(seconds: u32) -> Vec<u8> {
    let samples = compose(seconds);
    let bytes = samples.len() as u32 * 2;
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&2_u16.to_le_bytes());
    file.extend_from_slice(&RATE.to_le_bytes());
    file.extend_from_slice(&(RATE * 4).to_le_bytes());
    file.extend_from_slice(&4_u16.to_le_bytes());
    file.extend_from_slice(&16_u16.to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&bytes.to_le_bytes());
    for sample in samples {
        let value = (sample.tanh() * 32_000.0) as i16;
        file.extend_from_slice(&value.to_le_bytes());
    }
    file
}

/// Interleaved stereo samples.
fn compose(seconds: u32) -> Vec<f32> {
    let frames = (seconds * RATE) as usize;
    let mut dry = vec![[0.0_f32; 2]; frames];
    let chord = frames / CHORDS.len();
    for (index, notes) in CHORDS.iter().enumerate() {
        for (voice, &note) in notes.iter().enumerate() {
            pad(&mut dry, index * chord, chord, pitch(note), voice);
        }
    }
    let mut random = Random::new(5);
    let beat = RATE as usize / 2;
    let mut last = 3_usize;
    for start in (0..frames).step_by(beat) {
        if random.unit() < 0.42 {
            // A walk by small steps sounds like a tune, leaps do not.
            let step = (random.unit() * 5.0) as usize;
            last = (last + step).saturating_sub(2).min(BELLS.len() - 1);
            let gain = 0.05 + 0.05 * random.unit();
            bell(&mut dry, start, pitch(BELLS[last]), gain, random.unit());
        }
    }
    echo(dry)
}

fn pitch(semitones: i32) -> f32 {
    110.0 * 2.0_f32.powf(semitones as f32 / 12.0)
}

/// A soft held note that overlaps its neighbours; what passes the end sounds at the start.
fn pad(out: &mut [[f32; 2]], start: usize, length: usize, frequency: f32, voice: usize) {
    let fade = length as f32 * 0.38;
    let whole = length + fade as usize;
    let frames = out.len();
    for i in 0..whole {
        let time = i as f32 / RATE as f32;
        let rise = (i as f32 / fade).min(1.0);
        let fall = ((whole - i) as f32 / fade).min(1.0);
        let level = (rise.min(fall) * TAU / 4.0).sin().powi(2) * 0.040;
        let breath = 1.0 + 0.18 * (TAU * (0.11 * time + voice as f32 * 0.27)).sin();
        for (side, detune) in [(0, 0.9982), (1, 1.0018)] {
            let phase = TAU * (frequency * detune * time).fract();
            let tone = phase.sin() + 0.30 * (2.0 * phase).sin() + 0.10 * (3.0 * phase).sin();
            out[(start + i) % frames][side] += tone * level * breath;
        }
    }
}

/// A struck note that rings out.
fn bell(out: &mut [[f32; 2]], start: usize, frequency: f32, gain: f32, pan: f32) {
    let frames = out.len();
    for i in 0..RATE as usize * 3 {
        let time = i as f32 / RATE as f32;
        let attack = (i as f32 / 480.0).min(1.0);
        let tail = ((3.0 - time) / 0.5).min(1.0);
        let phase = TAU * (frequency * time).fract();
        let over = TAU * (frequency * 2.756 * time).fract();
        let tone = phase.sin() * (-time * 1.7).exp() + 0.22 * over.sin() * (-time * 5.0).exp();
        let frame = &mut out[(start + i) % frames];
        frame[0] += tone * attack * tail * gain * (1.0 - 0.6 * pan);
        frame[1] += tone * attack * tail * gain * (0.4 + 0.6 * pan);
    }
}

/// A room: crossed delays, run over the loop twice so that the echo of the end is heard at the start.
fn echo(dry: Vec<[f32; 2]>) -> Vec<f32> {
    const DELAYS: [(usize, f32); 4] =
        [(4_127, 0.52), (6_911, 0.47), (11_003, 0.43), (17_389, 0.40)];
    let frames = dry.len();
    let mut wet = vec![[0.0_f32; 2]; frames];
    for (length, feedback) in DELAYS {
        let mut line = vec![[0.0_f32; 2]; length];
        let mut dull = [0.0_f32; 2];
        for round in 0..2 {
            for (i, source) in dry.iter().enumerate() {
                let slot = (round * frames + i) % length;
                let old = line[slot];
                for side in 0..2 {
                    dull[side] += (old[1 - side] - dull[side]) * 0.35;
                    line[slot][side] = source[side] + dull[side] * feedback;
                    if round == 1 {
                        wet[i][side] += old[side];
                    }
                }
            }
        }
    }
    dry.iter()
        .zip(&wet)
        .flat_map(|(a, b)| [0, 1].map(|side| (a[side] * 0.8 + b[side] * 0.22) * 1.5))
        .collect()
}
