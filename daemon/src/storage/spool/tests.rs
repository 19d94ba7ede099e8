//! What is written comes back, and what is damaged is noticed.

use super::*;

fn job(number: u8) -> JobId {
    JobId::from_bytes([number; 16])
}

#[test]
fn messages_come_back_from_their_places() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut writer) = Spool::open(dir.path()).unwrap();
    let first = writer.append(job(1), b"first");
    let second = writer.append(job(2), b"");
    writer.write().unwrap();
    let third = writer.append(job(3), &[7; 60_000]);
    writer.write().unwrap();
    for about in [0, 3, 5, 9, 200_000] {
        assert_eq!(&spool.read(first, job(1), about).unwrap()[..], b"first");
    }
    assert_eq!(&spool.read(second, job(2), 0).unwrap()[..], b"");
    assert_eq!(spool.read(third, job(3), 60_000).unwrap().len(), 60_000);
    assert_eq!(Place::from_number(third.to_number()), third);
    assert_eq!((first.segment, first.offset, second.offset), (1, 0, HEADER_BYTES as u32 + 5));
}

#[test]
fn every_start_begins_a_new_segment() {
    let dir = tempfile::tempdir().unwrap();
    for expected in 1..=3 {
        let (spool, mut writer) = Spool::open(dir.path()).unwrap();
        let place = writer.append(job(1), b"x");
        writer.write().unwrap();
        assert_eq!(place, Place { segment: expected, offset: 0 });
        assert_eq!(spool.segments().unwrap().len(), expected as usize);
    }
}

#[track_caller]
fn check_refused(change: impl Fn(&mut Vec<u8>), why: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut writer) = Spool::open(dir.path()).unwrap();
    let place = writer.append(job(1), b"message");
    writer.write().unwrap();
    let mut bytes = fs::read(spool.path(1)).unwrap();
    change(&mut bytes);
    fs::write(spool.path(1), bytes).unwrap();
    let error = spool.read(place, job(1), 7).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::InvalidData, why));
}

#[test]
fn damage_is_noticed() {
    for byte in HEADER_BYTES..HEADER_BYTES + 7 {
        check_refused(|bytes| bytes[byte] ^= 1, "the check sum is wrong");
    }
    check_refused(|bytes| bytes[5] ^= 1, "the check sum is wrong");
    check_refused(|bytes| bytes[3] ^= 1, "the check sum is wrong");
    check_refused(|bytes| bytes[3] ^= 8, "its segment ends before it");
    check_refused(|bytes| bytes[0] ^= 1, "another message lies in its place");
    check_refused(|bytes| bytes[20] ^= 1, "another message lies in its place");
    check_refused(|bytes| bytes.truncate(HEADER_BYTES + 6), "its segment ends before it");
    check_refused(Vec::clear, "its segment ends before it");
}

#[test]
fn a_segment_that_is_held_goes_later() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut writer) = Spool::open(dir.path()).unwrap();
    writer.append(job(1), b"x");
    writer.write().unwrap();
    let (one, two) = (spool.hold(), spool.hold());
    spool.retire(1);
    drop(one);
    assert_eq!(spool.segments().unwrap(), [1]);
    drop(two);
    assert!(spool.segments().unwrap().is_empty());
}

#[test]
fn a_small_write_is_carried_until_a_large_one_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut writer) = Spool::open(dir.path()).unwrap();
    writer.append(job(1), b"the first write makes the segment");
    assert_eq!(writer.write().unwrap(), Written::default());
    let place = writer.append(job(2), b"small");
    let carried = writer.write().unwrap().carried.expect("it is small");
    assert_eq!((carried.place, carried.bytes.len()), (place, HEADER_BYTES + 5));
    // A power cut takes what was not synced.
    fs::File::options().write(true).open(spool.path(1)).unwrap().set_len(u64::from(place.offset)).unwrap();
    spool.restore(place, &carried.bytes).unwrap();
    assert_eq!(&spool.read(place, job(2), 5).unwrap()[..], b"small");
    writer.append(job(3), &[0; CARRIED_BYTES_MAX]);
    let synced = writer.write().unwrap().synced;
    assert_eq!(synced, [(place, carried.bytes.len())]);
    writer.append(job(4), b"small");
    assert!(writer.write().unwrap().synced.is_empty());
}
