//! What a code costs: drawing it, and reading it from what people have of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use handfast_qr::{QrError, Theme, decode_image, render_png, render_terminal};

use self::distort::{Canvas, jpeg, pairing_code, png, screen};

#[allow(dead_code)]
#[path = "../src/distort.rs"]
mod distort;

fn draw(c: &mut Criterion) {
    let text = pairing_code(400);
    let mut group = c.benchmark_group("draw a code");
    group.bench_function("in a terminal", |b| {
        b.iter(|| render_terminal(black_box(&text), Theme::Coloured).unwrap());
    });
    group.bench_function("into a PNG", |b| b.iter(|| render_png(black_box(&text)).unwrap()));
}

/// 12 megapixels, as phones take them.
fn photo(of: &Canvas) -> Canvas {
    let table = Canvas::from_fn(4000, 3000, |_, _| 190.0);
    of.scaled(2.0).on(&table, 1400, 900).lit(0.5, 1.0).noisy(6.0, 1)
}

fn read(c: &mut Criterion) {
    let text = pairing_code(400);
    let code = Canvas::open(&render_png(&text).unwrap());
    let noise = Canvas::from_fn(4000, 3000, |_, _| 128.0).noisy(60.0, 2);
    let pictures = [
        ("a screenshot", png(&code.scaled(0.6).on(&screen(1280, 800), 500, 300)), true),
        ("a photo", jpeg(&photo(&code), 80), true),
        (
            "a photo, turned and slanted",
            jpeg(&photo(&code).turned(6.0).slanted(0.2, 0.1), 80),
            true,
        ),
        ("a photo without a code", jpeg(&photo(&screen(600, 600)), 80), false),
        ("noise", jpeg(&noise, 80), false),
    ];
    let mut group = c.benchmark_group("read a code");
    group.sample_size(10);
    for (what, picture, readable) in pictures {
        let expected = if readable { Ok(text.clone()) } else { Err(QrError::NoCode) };
        assert_eq!(decode_image(&picture), expected, "{what}");
        group.bench_function(what, |b| b.iter(|| decode_image(black_box(&picture))));
    }
}

criterion_group!(benches, draw, read);
criterion_main!(benches);
