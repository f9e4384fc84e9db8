//! The modules of a QR code with the light border that belongs to it.

use qrcode::{EcLevel, QrCode};

use crate::QrError;

/// Light modules on every side, as ISO/IEC 18004 asks for.
const BORDER: usize = 4;

/// A QR code and its border, a square of dark and light modules.
pub struct Symbol {
    side: usize,
    dark: Vec<bool>,
}

impl Symbol {
    /// The code for a text with the highest error correction whose symbol is at most `widest`
    /// modules wide with its border. With 80, text of up to 483 letters of QR's alphanumeric set
    /// gets level M or better, and up to 619 of them fit.
    pub fn within(widest: usize, text: &str) -> Result<Symbol, QrError> {
        [EcLevel::H, EcLevel::Q, EcLevel::M, EcLevel::L]
            .into_iter()
            .filter_map(|level| QrCode::with_error_correction_level(text, level).ok())
            .find(|code| code.width() + 2 * BORDER <= widest)
            .map(|code| Symbol {
                side: code.width(),
                dark: code.to_colors().into_iter().map(|it| it == qrcode::Color::Dark).collect(),
            })
            .ok_or(QrError::TooLong)
    }

    /// The width and height in modules, border included.
    pub fn width(&self) -> usize {
        self.side + 2 * BORDER
    }

    /// Whether the module is dark; those of the border and beyond are light.
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(BORDER).filter(|&at| at < self.side);
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => self.dark.get(y * self.side + x).copied().unwrap_or_default(),
            _ => false,
        }
    }
}
