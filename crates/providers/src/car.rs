//! A block in an archive of its own: CAR version 1, with the block as its root.
//!
//! ```text
//! varint(length) header                 header = DAG-CBOR {"roots": [CID], "version": 1}
//! varint(length) CID bytes …            each block
//! ```
//!
//! Source: <https://ipld.io/specs/transport/car/carv1/>.

use handfast_ipfs::{Block, Cid, MAX_BLOCK};

/// What an archive of one block has beside the block, in bytes, and some air.
pub(crate) const OVERHEAD: usize = 1024;

/// The header up to the root's CID, and after it: a map of two, `roots` is a list of one CID (tag
/// 42, 37 bytes of which the first is zero), `version` is one.
const BEFORE_ROOT: &[u8] = b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00";
const AFTER_ROOT: &[u8] = b"\x67version\x01";

/// An archive of one block.
pub(crate) fn of(block: &Block) -> Vec<u8> {
    let cid = block.cid().to_bytes();
    let mut car = Vec::with_capacity(block.bytes().len() + 2 * cid.len() + 64);
    put_varint(&mut car, BEFORE_ROOT.len() + cid.len() + AFTER_ROOT.len());
    for part in [BEFORE_ROOT, &cid, AFTER_ROOT] {
        car.extend_from_slice(part);
    }
    put_varint(&mut car, cid.len() + block.bytes().len());
    car.extend_from_slice(&cid);
    car.extend_from_slice(block.bytes());
    car
}

/// The bytes that an archive holds under a CID; they are not verified. The roots and the order of
/// the blocks say nothing.
pub(crate) fn find<'a>(mut car: &'a [u8], cid: &Cid) -> Option<&'a [u8]> {
    let _header = take(&mut car)?;
    let cid = cid.to_bytes();
    while !car.is_empty() {
        if let Some(bytes) = take(&mut car)?.strip_prefix(&cid) {
            return Some(bytes);
        }
    }
    None
}

/// Takes a part off the front: its length, then so many bytes.
fn take<'a>(car: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0_usize;
    for shift in [0, 7, 14, 21] {
        let (&byte, rest) = car.split_first()?;
        *car = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            let (part, rest) = car.split_at_checked(length)?;
            *car = rest;
            return Some(part).filter(|part| part.len() <= MAX_BLOCK + OVERHEAD);
        }
    }
    None
}

fn put_varint(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_it_holds_and_nothing_else() {
        for size in [0, 1, 127, 128, 5000, MAX_BLOCK] {
            let block = Block::new(vec![7; size]).unwrap();
            let car = of(&block);
            assert_eq!(find(&car, block.cid()), Some(block.bytes()));
            assert_eq!(find(&car, &Cid::of(b"another")), None);
            for end in [0, 1, 10, car.len() - 1] {
                assert_eq!(find(&car[..end], block.cid()), None, "{end} of {size}");
            }
        }
    }

    #[test]
    fn endless_lengths_are_refused() {
        assert_eq!(find(&[0xff; 100], &Cid::of(b"x")), None);
        assert_eq!(find(&[0xff, 0xff, 0xff, 0x7f], &Cid::of(b"x")), None);
    }
}
