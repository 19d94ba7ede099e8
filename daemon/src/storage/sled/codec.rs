//! How a value becomes frames of at most 4,000 bytes, each with its check sum, and frames a value again.
//!
//! A frame is `version u8 | kind u8 | frames u16 | tag u32 | crc u32 | payload`. The first frame of a value counts its
//! frames, the others have 0 there. The tag is the check sum of the whole value when it has several frames, so that a
//! reader who meets frames of two versions notices. The CRC-32C covers the key and the frame.

use ::sled::IVec;

use super::keys::{Family, Key};

/// No value is longer: longer ones could make sled put a page into a file that it never syncs.
pub(super) const VALUE_BYTES_MAX: usize = 4_000;
/// How much of a value one frame holds.
pub(super) const FRAME_PAYLOAD_BYTES_MAX: usize = 3_900;
/// The largest value that can be stored, in bytes.
pub(super) const WHOLE_BYTES_MAX: usize = FRAME_PAYLOAD_BYTES_MAX * u16::MAX as usize;

const HEADER_BYTES: usize = 12;
const VERSION: u8 = 1;

/// What is wrong with a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadFrame {
    #[error("shorter than a frame")]
    Short,
    #[error("written in the unknown format {0}")]
    Version(u8),
    #[error("the check sum is wrong")]
    CheckSum,
    #[error("a record of another kind ({0:#04x})")]
    Kind(u8),
}

/// A frame that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// How many frames the value has; 0 in any but the first.
    pub(super) frames: u16,
    /// The check sum of the whole value when it has several frames.
    pub(super) tag: u32,
    value: IVec,
}

impl Frame {
    /// What the frame holds.
    pub(super) fn payload(&self) -> &[u8] {
        &self.value[HEADER_BYTES..]
    }

    /// Checks a frame that was stored under `key`.
    pub(super) fn parse(key: &[u8], value: IVec) -> Result<Self, BadFrame> {
        let (header, _) = value.split_first_chunk::<HEADER_BYTES>().ok_or(BadFrame::Short)?;
        let [version, kind, f0, f1, t0, t1, t2, t3, c0, c1, c2, c3] = *header;
        if version != VERSION {
            return Err(BadFrame::Version(version));
        }
        if u32::from_be_bytes([c0, c1, c2, c3]) != check_sum(key, &value[..8], &value[HEADER_BYTES..]) {
            return Err(BadFrame::CheckSum);
        }
        if key.first() != Some(&kind) {
            return Err(BadFrame::Kind(kind));
        }
        Ok(Self { frames: u16::from_be_bytes([f0, f1]), tag: u32::from_be_bytes([t0, t1, t2, t3]), value })
    }
}

/// A value as the frames to be stored. `key_of` gives the key of each frame.
///
/// # Panics
/// When the value is longer than [`WHOLE_BYTES_MAX`]: what is stored is bounded far below.
pub(super) fn frames(key_of: impl Fn(u16) -> Key, payload: &[u8]) -> Vec<(IVec, IVec)> {
    assert!(payload.len() <= WHOLE_BYTES_MAX, "a value of {} bytes cannot be stored", payload.len());
    let count = u16::try_from(frames_of(payload.len())).expect("checked above");
    let tag = if count > 1 { crc32c::crc32c(payload) } else { 0 };
    let mut frames = Vec::with_capacity(count.into());
    let mut parts = payload.chunks(FRAME_PAYLOAD_BYTES_MAX);
    for chunk in 0..count {
        let key = key_of(chunk);
        let part = parts.next().unwrap_or_default();
        frames.push(frame(&key, if chunk == 0 { count } else { 0 }, tag, part));
    }
    frames
}

/// How many frames a value of so many bytes has.
pub(super) const fn frames_of(bytes: usize) -> usize {
    let frames = bytes.div_ceil(FRAME_PAYLOAD_BYTES_MAX);
    if frames == 0 { 1 } else { frames }
}

/// A value that is known to fit into one frame.
pub(super) fn single(key: &Key, payload: &[u8]) -> (IVec, IVec) {
    frame(key, 1, 0, payload)
}

fn frame(key: &Key, frames: u16, tag: u32, payload: &[u8]) -> (IVec, IVec) {
    let key_bytes = key.to_bytes();
    let mut value = Vec::with_capacity(HEADER_BYTES + payload.len());
    value.extend_from_slice(&[VERSION, Family::prefix(key.family())[0]]);
    value.extend_from_slice(&frames.to_be_bytes());
    value.extend_from_slice(&tag.to_be_bytes());
    let sum = check_sum(&key_bytes, &value, payload);
    value.extend_from_slice(&sum.to_be_bytes());
    value.extend_from_slice(payload);
    assert!(value.len() <= VALUE_BYTES_MAX, "a frame of {} bytes would not be synced by sled", value.len());
    (IVec::from(key_bytes), IVec::from(value))
}

fn check_sum(key: &[u8], header: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(key), header), payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::JobId;

    fn body(chunk: u16) -> Key {
        Key::Body { job: JobId::from_bytes([7; 16]), chunk }
    }

    #[track_caller]
    fn check_length(length: usize, expected: usize) {
        let payload: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let stored = frames(body, &payload);
        assert_eq!(stored.len(), expected);
        let mut whole = Vec::new();
        for (place, (key, value)) in stored.iter().enumerate() {
            assert!(value.len() <= VALUE_BYTES_MAX);
            let frame = Frame::parse(key, value.clone()).unwrap();
            assert_eq!(usize::from(frame.frames), if place == 0 { expected } else { 0 });
            whole.extend_from_slice(frame.payload());
        }
        assert_eq!(whole, payload);
    }

    #[test]
    fn values_are_cut_into_frames() {
        check_length(0, 1);
        check_length(1, 1);
        check_length(FRAME_PAYLOAD_BYTES_MAX, 1);
        check_length(FRAME_PAYLOAD_BYTES_MAX + 1, 2);
        check_length(64 * 1_024, 17);
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let (key, value) = single(&body(0), b"hello");
        for bit in 0..value.len() * 8 {
            let mut bytes = value.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::parse(&key, bytes.into()).is_err(), "bit {bit}");
        }
        let mut moved = key.to_vec();
        moved[5] ^= 1;
        assert_eq!(Frame::parse(&moved, value), Err(BadFrame::CheckSum));
        assert_eq!(Frame::parse(&key, IVec::from(&b"short"[..])), Err(BadFrame::Short));
    }
}
