//! The sheet of pixels on which codes are looked for, which ends a search that takes too long.
//!
//! `rqrr` takes any three patterns that look like a code's corners for a code, copies the picture
//! and tries to fit a grid. In noise it finds hundreds of corners and tries for minutes, sometimes
//! far beyond the picture's edge, and it has assertions that a picture may reach. So the sheet
//! counts how often it is looked at and unwinds when that is too often; [`search`] catches that, and
//! assertions too.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use image::{GenericImage, GenericImageView, GrayImage, Luma, Pixel};
use rqrr::PreparedImage;

/// How often one search may look at a pixel or ask for the size: what it does for a large photo with
/// a code, many times over. A release build takes about a second for it.
const MOST_LOOKS: u64 = 400_000_000;
/// Pixels that are copied in the time of one look.
const COPIED_FOR_ONE_LOOK: usize = 16;

/// The texts of all QR codes that are found in a picture.
pub fn search(picture: GrayImage) -> BTreeSet<String> {
    let searched = catch_unwind(AssertUnwindSafe(|| {
        let mut prepared = PreparedImage::prepare(Sheet { picture, looks: Rc::default() });
        let grids = prepared.detect_grids();
        grids.iter().filter_map(|grid| grid.decode().ok()).map(|(_, text)| text).collect()
    }));
    searched.unwrap_or_default()
}

/// A picture that counts the looks at it and at its copies.
struct Sheet {
    picture: GrayImage,
    looks: Rc<Cell<u64>>,
}

impl Sheet {
    fn count(&self, pixels: usize) {
        let looks = self.looks.get().saturating_add(u64::try_from(pixels).unwrap_or(u64::MAX));
        self.looks.set(looks);
        if looks > MOST_LOOKS {
            // Unlike a panic this says nothing on standard error.
            resume_unwind(Box::new("the search for a QR code took too long"));
        }
    }
}

impl Clone for Sheet {
    fn clone(&self) -> Sheet {
        self.count(self.picture.len() / COPIED_FOR_ONE_LOOK);
        Sheet { picture: self.picture.clone(), looks: Rc::clone(&self.looks) }
    }
}

impl GenericImageView for Sheet {
    type Pixel = Luma<u8>;

    fn dimensions(&self) -> (u32, u32) {
        // Beyond the edge this is all that is asked.
        self.count(1);
        self.picture.dimensions()
    }

    fn get_pixel(&self, x: u32, y: u32) -> Luma<u8> {
        self.count(1);
        *self.picture.get_pixel(x, y)
    }
}

impl GenericImage for Sheet {
    fn get_pixel_mut(&mut self, x: u32, y: u32) -> &mut Luma<u8> {
        self.picture.get_pixel_mut(x, y)
    }

    fn put_pixel(&mut self, x: u32, y: u32, pixel: Luma<u8>) {
        self.picture.put_pixel(x, y, pixel);
    }

    fn blend_pixel(&mut self, x: u32, y: u32, pixel: Luma<u8>) {
        self.picture.get_pixel_mut(x, y).blend(&pixel);
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn a_search_ends_when_it_has_looked_enough() {
        let picture = GrayImage::new(10, 10);
        let sheet = Sheet { picture, looks: Rc::new(Cell::new(MOST_LOOKS - 7)) };
        let copy = sheet.clone();
        let reading = || {
            copy.get_pixel(0, 0);
            sheet.get_pixel(0, 0)
        };
        let ended = catch_unwind(AssertUnwindSafe(reading)).unwrap_err();
        assert_eq!(ended.downcast_ref::<&str>(), Some(&"the search for a QR code took too long"));
    }

    #[test]
    fn there_are_no_codes_in_noise() {
        for (seed, grain) in (0..12).zip([1, 2, 3].into_iter().cycle()) {
            let mut rng = StdRng::seed_from_u64(seed);
            let grains: Vec<u8> = (0..90 * 90).map(|_| rng.random()).collect();
            let shade = |x, y| Luma([grains[(y / grain * 90 + x / grain) as usize]]);
            let noise = GrayImage::from_fn(90 * grain, 90 * grain, shade);
            assert_eq!(search(noise), BTreeSet::new());
        }
    }
}
