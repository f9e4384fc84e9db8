//! Directories, as services wrap files in them: a DAG-PB node with UnixFS data.
//!
//! Source: <https://specs.ipfs.tech/unixfs/>.

use data_encoding::BASE32_NOPAD;
use handfast_ipfs::Cid;
use sha2::{Digest, Sha256};

/// The CID of a directory of small files, in its usual text.
pub(crate) fn directory(files: &[(String, Cid, usize)]) -> String {
    let mut files: Vec<_> = files.iter().collect();
    files.sort();
    let mut node = Vec::new();
    for (name, cid, size) in files {
        let mut link = Vec::new();
        put(&mut link, 1, &cid.to_bytes());
        put(&mut link, 2, name.as_bytes());
        link.push(3 << 3);
        varint(&mut link, *size);
        put(&mut node, 2, &link);
    }
    // Type: directory.
    put(&mut node, 1, &[0x08, 0x01]);
    let cid = [&[0x01, 0x70, 0x12, 0x20], &Sha256::digest(&node)[..]].concat();
    format!("b{}", BASE32_NOPAD.encode(&cid).to_lowercase())
}

fn put(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | 2);
    varint(message, bytes.len());
    message.extend_from_slice(bytes);
}

fn varint(message: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
