//! QR codes in pictures: written as PNG, read from PNG and JPEG.
//!
//! Reading looks at the picture several times, each time prepared otherwise, the likeliest way
//! first. The first time that codes are found ends it.

use std::io::Cursor;

use image::codecs::png::PngEncoder;
use image::imageops::{self, FilterType};
use image::{
    DynamicImage, ExtendedColorType, GrayImage, ImageEncoder, ImageError, ImageFormat, ImageReader,
    Limits, Luma,
};

use crate::QrError;
use crate::sheet::search;
use crate::symbol::Symbol;

/// Pixels along a module of a PNG.
const MODULE: usize = 8;
/// The largest QR code there is, with its border.
const LARGEST: usize = 177 + 8;
const MAX_BYTES: usize = 20_000_000;
const MAX_PIXELS: u64 = 50_000_000;
/// Enough for four bytes a pixel and what a decoder needs beside them.
const MAX_ALLOCATED: u64 = 256 << 20;

/// Draws a text as a QR code in a PNG: 8 pixels a module, 4 modules of border.
///
/// # Errors
///
/// [`QrError::TooLong`] for more than the largest QR code holds, about 4 000 letters.
pub fn render_png(text: &str) -> Result<Vec<u8>, QrError> {
    let symbol = Symbol::within(80, text).or_else(|_| Symbol::within(LARGEST, text))?;
    let side = symbol.width() * MODULE;
    let shade = |at| {
        if symbol.is_dark(at % side / MODULE, at / side / MODULE) { 0 } else { 255 }
    };
    let pixels: Vec<u8> = (0..side * side).map(shade).collect();
    let edge = u32::try_from(side).map_err(|_| QrError::TooLong)?;
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&pixels, edge, edge, ExtendedColorType::L8)
        .map_err(|_| QrError::TooLong)?;
    Ok(png)
}

/// Reads the QR code in a PNG or JPEG: a screenshot, or a photo that may be somewhat turned,
/// slanted, blurred, noisy and unevenly lit. Negatives and mirror images are read too.
///
/// # Errors
///
/// [`QrError::TooLarge`] beyond 20 MB or 50 megapixels, [`QrError::NotAnImage`],
/// [`QrError::NoCode`], or [`QrError::SeveralCodes`] if there are several that differ.
pub fn decode_image(bytes: &[u8]) -> Result<String, QrError> {
    let photo = open(bytes)?;
    for (long_side, treatment) in attempts(photo.width().max(photo.height())) {
        let mut texts = search(treatment.of(resized(&photo, long_side)));
        match (texts.pop_first(), texts.len()) {
            (None, _) => {}
            (Some(text), 0) => return Ok(text),
            (Some(_), others) => return Err(QrError::SeveralCodes(1 + others)),
        }
    }
    Err(QrError::NoCode)
}

/// The picture in greys. What is transparent is as light as the page it would lie on.
fn open(bytes: &[u8]) -> Result<GrayImage, QrError> {
    if bytes.len() > MAX_BYTES {
        return Err(QrError::TooLarge);
    }
    let reader = || {
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|_| QrError::NotAnImage)?;
        if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
            return Err(QrError::NotAnImage);
        }
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(MAX_ALLOCATED);
        reader.limits(limits);
        Ok(reader)
    };
    let failed = |error| match error {
        ImageError::Limits(_) => QrError::TooLarge,
        _ => QrError::NotAnImage,
    };
    let (width, height) = reader()?.into_dimensions().map_err(failed)?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(QrError::TooLarge);
    }
    let picture = reader()?.decode().map_err(failed)?;
    Ok(if picture.color().has_alpha() { on_white(&picture) } else { picture.into_luma8() })
}

fn on_white(picture: &DynamicImage) -> GrayImage {
    let layered = picture.to_luma_alpha8();
    let mut flat = GrayImage::new(layered.width(), layered.height());
    for (to, from) in flat.pixels_mut().zip(layered.pixels()) {
        let [shade, alpha] = from.0.map(u32::from);
        let mixed = (shade * alpha + 255 * (255 - alpha)) / 255;
        *to = Luma([u8::try_from(mixed).unwrap_or(u8::MAX)]);
    }
    flat
}

/// How a picture is looked at in turn: the length of its longer side, and what is done to it then.
/// Smaller sizes lose noise and the grain of a photographed screen, larger ones keep a small code.
fn attempts(own: u32) -> Vec<(u32, Treatment)> {
    let smaller = [1600, 1000, 700].map(|side| own.min(side));
    let larger =
        if own < 900 { [own * 2, own * 3] } else { [2600, 4200].map(|side| own.min(side)) };
    let mut attempts = Vec::new();
    let mut add = |side, treatments: &[Treatment]| {
        let new = treatments.iter().map(|&treatment| (side, treatment));
        attempts.extend(new.filter(|attempt| !attempts.contains(attempt)).collect::<Vec<_>>());
    };
    for side in smaller.into_iter().chain(larger) {
        add(side, &[Treatment::None, Treatment::Negative]);
    }
    for side in smaller {
        add(side, &[Treatment::Smoothed, Treatment::Evened, Treatment::Sharpened]);
    }
    attempts
}

fn resized(photo: &GrayImage, long_side: u32) -> GrayImage {
    let own = photo.width().max(photo.height());
    if own == long_side {
        return photo.clone();
    }
    let scaled = |edge: u32| {
        let exact = u64::from(edge) * u64::from(long_side) / u64::from(own.max(1));
        u32::try_from(exact).unwrap_or(long_side).max(1)
    };
    let filter = if long_side < own { FilterType::Triangle } else { FilterType::CatmullRom };
    imageops::resize(photo, scaled(photo.width()), scaled(photo.height()), filter)
}

/// What is done to a picture before codes are looked for.
#[derive(Clone, Copy, PartialEq)]
enum Treatment {
    None,
    /// For light codes on dark ground, and those of a terminal without colours.
    Negative,
    /// Against noise.
    Smoothed,
    /// Against shadows: black and white by comparison with the surroundings.
    Evened,
    /// Against blur.
    Sharpened,
}

impl Treatment {
    fn of(self, mut picture: GrayImage) -> GrayImage {
        match self {
            Treatment::None => picture,
            Treatment::Negative => {
                imageops::invert(&mut picture);
                picture
            }
            Treatment::Smoothed => imageops::fast_blur(&picture, 1.2),
            Treatment::Evened => evened(picture),
            Treatment::Sharpened => imageops::unsharpen(&picture, 2.0, 0),
        }
    }
}

fn evened(mut picture: GrayImage) -> GrayImage {
    let reach = picture.width().max(picture.height()) / 24;
    let around = imageops::fast_blur(&picture, (reach as f32).max(4.0));
    for (pixel, mean) in picture.pixels_mut().zip(around.pixels()) {
        let ([shade], [mean]) = (pixel.0, mean.0);
        let lighter = u32::from(shade) * 100 > u32::from(mean) * 94;
        *pixel = Luma([if lighter { u8::MAX } else { 0 }]);
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distort::{Canvas, jpeg, pairing_code, png, screen};

    fn text() -> String {
        pairing_code(400)
    }

    /// A code on a grey table.
    fn photo() -> Canvas {
        Canvas::open(&render_png(&text()).unwrap()).framed(100, 200.0)
    }

    #[track_caller]
    fn read(canvas: &Canvas) {
        assert_eq!(decode_image(&png(canvas)), Ok(text()), "as PNG");
        assert_eq!(decode_image(&jpeg(canvas, 60)), Ok(text()), "as JPEG");
    }

    #[test]
    fn a_png_has_eight_pixels_to_a_module_and_the_border() {
        let drawn = Canvas::open(&render_png(&text()).unwrap());
        assert_eq!((drawn.width, drawn.height), (8 * 73, 8 * 73));
        assert_eq!(decode_image(&render_png(&text()).unwrap()), Ok(text()));
        // What no terminal can show is still a picture, up to the format's limit.
        let long = pairing_code(4296);
        assert_eq!(decode_image(&render_png(&long).unwrap()), Ok(long));
        assert_eq!(render_png(&pairing_code(4297)), Err(QrError::TooLong));
    }

    #[test]
    fn turned_photos_are_read() {
        for degrees in [-8.0, 5.0, 8.0, 180.0] {
            read(&photo().turned(degrees));
        }
    }

    #[test]
    fn noisy_photos_are_read() {
        read(&photo().noisy(30.0, 1));
        read(&photo().turned(5.0).noisy(35.0, 2));
    }

    #[test]
    fn blurred_photos_are_read() {
        read(&photo().blurred(2.5));
        read(&photo().turned(-4.0).blurred(2.0).noisy(8.0, 3));
    }

    #[test]
    fn unevenly_lit_photos_are_read() {
        read(&photo().lit(0.2, 1.0));
        read(&photo().turned(6.0).lit(0.9, 0.15).noisy(15.0, 4));
    }

    #[test]
    fn slanted_photos_are_read() {
        read(&photo().slanted(0.3, 0.2));
        let worst = photo().slanted(0.2, 0.1).turned(7.0).blurred(1.5).lit(0.4, 1.0);
        read(&worst.noisy(12.0, 5));
    }

    #[test]
    fn small_codes_are_read() {
        read(&photo().scaled(0.25));
        read(&photo().turned(5.0).scaled(0.4));
    }

    #[test]
    fn a_code_on_a_screen_full_of_text_is_read() {
        let code = Canvas::open(&render_png(&text()).unwrap());
        let shot = code.scaled(0.6).on(&screen(1280, 800), 500, 300);
        read(&shot);
        read(&shot.turned(3.0).noisy(10.0, 6));
    }

    #[test]
    fn mirror_images_and_negatives_are_read() {
        let drawn = photo();
        let mirrored =
            Canvas::from_fn(drawn.width, drawn.height, |x, y| drawn.shade(drawn.width - 1 - x, y));
        read(&mirrored);
        let negative = |x, y| 255.0 - drawn.shade(x, y);
        read(&Canvas::from_fn(drawn.width, drawn.height, negative));
    }

    #[test]
    fn a_transparent_ground_is_white() {
        let drawn = image::load_from_memory(&render_png(&text()).unwrap()).unwrap().to_luma8();
        let ink: Vec<u8> = drawn.iter().flat_map(|&shade| [0, 255 - shade]).collect();
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes)
            .write_image(&ink, drawn.width(), drawn.height(), ExtendedColorType::La8)
            .unwrap();
        assert_eq!(decode_image(&bytes), Ok(text()));
    }

    #[test]
    fn several_codes_are_an_error_unless_they_agree() {
        let pair = |left: &str, right: &str| {
            let draw = |text| Canvas::open(&render_png(text).unwrap());
            let page = Canvas::from_fn(1000, 500, |_, _| 255.0);
            png(&draw(right).on(&draw(left).on(&page, 0, 0), 500, 0))
        };
        let (one, other) = (pairing_code(80), pairing_code(81));
        assert_eq!(decode_image(&pair(&one, &other)), Err(QrError::SeveralCodes(2)));
        assert_eq!(decode_image(&pair(&one, &one)), Ok(one));
    }

    #[test]
    fn what_is_not_a_picture_of_a_code_is_told_apart() {
        let empty = png(&Canvas::from_fn(60, 40, |x, y| ((x * y) % 256) as f32));
        assert_eq!(decode_image(&empty), Err(QrError::NoCode));
        assert_eq!(decode_image(&png(&Canvas::from_fn(1, 1, |_, _| 0.0))), Err(QrError::NoCode));
        for other in [&b""[..], b"HANDFAST:ABC", b"GIF89a\x01\x00\x01\x00\x00\x00\x00"] {
            assert_eq!(decode_image(other), Err(QrError::NotAnImage));
        }
        assert_eq!(decode_image(&empty[..empty.len() - 30]), Err(QrError::NotAnImage));
    }

    #[test]
    fn large_pictures_are_refused_before_they_are_decoded() {
        assert_eq!(decode_image(&vec![0; MAX_BYTES + 1]), Err(QrError::TooLarge));
        // A header that promises 30 000 x 30 000 pixels in grey, and nothing else.
        let mut header =
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x75\x30\0\0\x75\x30\x08\0\0\0\0".to_vec();
        header.extend(crc32(&header[12..]).to_be_bytes());
        header.extend(b"\0\0\0\0IDAT");
        header.extend(crc32(b"IDAT").to_be_bytes());
        assert_eq!(decode_image(&header), Err(QrError::TooLarge));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
            })
        })
    }
}
