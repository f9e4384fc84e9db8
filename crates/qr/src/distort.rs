//! What happens to a QR code between a screen and a photo of it, for tests.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A picture in greys, 0 to 255, that can be worked on without rounding.
#[derive(Clone)]
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    pixels: Vec<f32>,
}

/// A pairing code's text of a length, with random contents that don't change.
pub fn pairing_code(length: usize) -> String {
    let mut rng = StdRng::seed_from_u64(length as u64);
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::from("HANDFAST:");
    text.extend((text.len()..length).map(|_| char::from(letters[rng.random_range(0..32)])));
    text
}

impl Canvas {
    pub fn from_fn(width: usize, height: usize, shade: impl Fn(usize, usize) -> f32) -> Canvas {
        let pixels = (0..width * height).map(|at| shade(at % width, at / width)).collect();
        Canvas { width, height, pixels }
    }

    pub fn open(bytes: &[u8]) -> Canvas {
        let grey = image::load_from_memory(bytes).unwrap().into_luma8();
        let (width, height) = (grey.width() as usize, grey.height() as usize);
        Canvas { width, height, pixels: grey.iter().map(|&it| f32::from(it)).collect() }
    }

    fn bytes(&self) -> Vec<u8> {
        self.pixels.iter().map(|it| it.round().clamp(0.0, 255.0) as u8).collect()
    }

    pub fn shade(&self, x: usize, y: usize) -> f32 {
        self.pixels[y * self.width + x]
    }

    /// The shade between four pixels; `paper` outside.
    fn between(&self, x: f32, y: f32, paper: f32) -> f32 {
        let at = |x: f32, y: f32| {
            let inside = x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32;
            if inside { self.pixels[y as usize * self.width + x as usize] } else { paper }
        };
        let (left, top) = (x.floor(), y.floor());
        let (right, down) = (x - left, y - top);
        let upper = at(left, top) * (1.0 - right) + at(left + 1.0, top) * right;
        let lower = at(left, top + 1.0) * (1.0 - right) + at(left + 1.0, top + 1.0) * right;
        upper * (1.0 - down) + lower * down
    }

    /// With a border of a shade on all sides.
    pub fn framed(&self, border: usize, paper: f32) -> Canvas {
        Canvas::from_fn(self.width + 2 * border, self.height + 2 * border, |x, y| {
            self.between(x as f32 - border as f32, y as f32 - border as f32, paper)
        })
    }

    pub fn scaled(&self, factor: f32) -> Canvas {
        let (width, height) = (self.width as f32 * factor, self.height as f32 * factor);
        Canvas::from_fn(width as usize, height as usize, |x, y| {
            self.between((x as f32 + 0.5) / factor - 0.5, (y as f32 + 0.5) / factor - 0.5, 255.0)
        })
    }

    pub fn turned(&self, degrees: f32) -> Canvas {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (middle_x, middle_y) = (self.width as f32 / 2.0, self.height as f32 / 2.0);
        Canvas::from_fn(self.width, self.height, |x, y| {
            let (x, y) = (x as f32 - middle_x, y as f32 - middle_y);
            self.between(x * cos + y * sin + middle_x, y * cos - x * sin + middle_y, 200.0)
        })
    }

    /// Seen from below and from the left: the farther edges are shorter by these shares.
    pub fn slanted(&self, across: f32, along: f32) -> Canvas {
        let (middle_x, middle_y) = (self.width as f32 / 2.0, self.height as f32 / 2.0);
        Canvas::from_fn(self.width, self.height, |x, y| {
            let (x, y) = (x as f32 - middle_x, y as f32 - middle_y);
            let far = 1.0 + across * x / self.width as f32 + along * y / self.height as f32;
            self.between(x / far + middle_x, y / far + middle_y, 200.0)
        })
    }

    pub fn blurred(&self, sigma: f32) -> Canvas {
        let reach = (3.0 * sigma).ceil() as isize;
        let weights: Vec<f32> = (-reach..=reach)
            .map(|at| (-((at * at) as f32) / (2.0 * sigma * sigma)).exp())
            .collect();
        let sum: f32 = weights.iter().sum();
        let along = |from: &Canvas, step: (f32, f32)| {
            Canvas::from_fn(self.width, self.height, |x, y| {
                let shade = |(weight, at): (&f32, isize)| {
                    let (x, y) = (x as f32 + step.0 * at as f32, y as f32 + step.1 * at as f32);
                    let (x, y) = (x.max(0.0), y.max(0.0));
                    let x = x.min(from.width as f32 - 1.0);
                    let y = y.min(from.height as f32 - 1.0);
                    weight * from.pixels[y as usize * from.width + x as usize]
                };
                weights.iter().zip(-reach..=reach).map(shade).sum::<f32>() / sum
            })
        };
        along(&along(self, (1.0, 0.0)), (0.0, 1.0))
    }

    /// Gaussian noise of a standard deviation, the same for one seed.
    pub fn noisy(mut self, deviation: f32, seed: u64) -> Canvas {
        let mut rng = StdRng::seed_from_u64(seed);
        for pixel in &mut self.pixels {
            let (a, b): (f32, f32) = (rng.random_range(1e-6..1.0), rng.random());
            *pixel += deviation * (-2.0 * a.ln()).sqrt() * (std::f32::consts::TAU * b).cos();
        }
        self
    }

    /// Lit from one corner: shades are multiplied by `from` there, by `to` in the opposite one.
    pub fn lit(&self, from: f32, to: f32) -> Canvas {
        let whole = (self.width + self.height) as f32;
        Canvas::from_fn(self.width, self.height, |x, y| {
            let way = (x + y) as f32 / whole;
            self.pixels[y * self.width + x] * (from + (to - from) * way)
        })
    }

    /// Lying on another picture.
    pub fn on(&self, page: &Canvas, left: usize, top: usize) -> Canvas {
        Canvas::from_fn(page.width, page.height, |x, y| {
            match (x.checked_sub(left), y.checked_sub(top)) {
                (Some(x), Some(y)) if x < self.width && y < self.height => {
                    self.pixels[y * self.width + x]
                }
                _ => page.pixels[y * page.width + x],
            }
        })
    }
}

/// A screen of a size with lines of something like text on windows of different shades.
pub fn screen(width: usize, height: usize) -> Canvas {
    let mut rng = StdRng::seed_from_u64(7);
    let words: Vec<bool> = (0..997).map(|_| rng.random_range(0..10) < 6).collect();
    Canvas::from_fn(width, height, |x, y| {
        let dark_window = x > width / 3 && x < width / 2;
        let (paper, ink) = if dark_window { (30.0, 220.0) } else { (245.0, 40.0) };
        let in_line = y % 22 < 13 && (x / 2 + y / 3) % 4 < 3;
        if in_line && words[(x / 9 + y / 22 * 131) % 997] { ink } else { paper }
    })
}

pub fn png(canvas: &Canvas) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = (canvas.width as u32, canvas.height as u32);
    PngEncoder::new(&mut bytes)
        .write_image(&canvas.bytes(), width, height, ExtendedColorType::L8)
        .unwrap();
    bytes
}

pub fn jpeg(canvas: &Canvas, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = (canvas.width as u32, canvas.height as u32);
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .write_image(&canvas.bytes(), width, height, ExtendedColorType::L8)
        .unwrap();
    bytes
}
