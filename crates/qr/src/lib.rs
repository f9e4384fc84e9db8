//! QR codes: drawn in a terminal or into a PNG, and read from a screenshot or a photo.
//!
//! ```
//! let png = handfast_qr::render_png("HANDFAST:ABC")?;
//! assert_eq!(handfast_qr::decode_image(&png)?, "HANDFAST:ABC");
//! # Ok::<(), handfast_qr::QrError>(())
//! ```
//!
//! Pictures come from anywhere, so every reader here is bounded: in bytes, in pixels, and in how
//! long it looks. What a code says is not looked at; that is `handfast-pairing`'s.

mod picture;
mod sheet;
mod symbol;
mod terminal;

#[cfg(test)]
mod distort;

pub use self::picture::{decode_image, render_png};
pub use self::terminal::{Theme, render_terminal};

/// Why a QR code can't be drawn or read. Each says what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QrError {
    /// The text doesn't fit the symbol.
    #[error(
        "this is too long for a QR code in a terminal of 80 columns: write it as a picture or paste it as text"
    )]
    TooLong,
    /// The picture has no QR code that can be read.
    #[error(
        "no QR code can be read in this picture: take it straight from the front, sharp, with the code's whole white border in it"
    )]
    NoCode,
    /// The picture has more than one QR code, and they say different things.
    #[error("this picture shows {0} different QR codes: crop it to the one that is meant")]
    SeveralCodes(usize),
    /// The file isn't a picture in a format that is read here, or is damaged.
    #[error("this file is not a PNG or JPEG picture, or it is damaged: save it as one of those")]
    NotAnImage,
    /// The file or the picture in it is larger than what is read here.
    #[error(
        "this picture is too large (the limits are 20 MB and 50 megapixels): save a smaller copy"
    )]
    TooLarge,
}
