//! MQTT control packets.

use super::*;
use crate::framing::Mqtt;

fn mqtt(max_length: u32) -> Mqtt {
    Mqtt::new(max_length).unwrap()
}

/// The table of MQTT 3.1.1, 2.2.3: the smallest and the largest value of each size.
const REMAINING: [(&[u8], u32); 8] = [
    (&[0x00], 0),
    (&[0x7f], 127),
    (&[0x80, 0x01], 128),
    (&[0xff, 0x7f], 16_383),
    (&[0x80, 0x80, 0x01], 16_384),
    (&[0xff, 0xff, 0x7f], 2_097_151),
    (&[0x80, 0x80, 0x80, 0x01], 2_097_152),
    (&[0xff, 0xff, 0xff, 0x7f], 268_435_455),
];

#[test]
fn the_remaining_length_is_read_as_the_standard_writes_it() {
    for (field, value) in REMAINING {
        let packet = [&[0x30], field].concat();
        let len = packet.len() + usize::try_from(value).unwrap();
        let mut framer = mqtt(300_000_000);
        for end in 0..packet.len() {
            assert_eq!(framer.next(&packet[..end]), Frame::NeedMore, "{value}");
        }
        let expected = if value == 0 { Frame::Package { len } } else { Frame::Incomplete { len } };
        assert_eq!(framer.next(&packet), expected, "{value}");
    }
}

#[test]
fn packets_follow_each_other() {
    let mut framer = mqtt(100);
    assert_eq!(framer.next(b"\xc0\x00\x30\x03a"), Frame::Package { len: 2 });
    assert_eq!(framer.next(b"\x30\x03a"), Frame::Incomplete { len: 5 });
    assert_eq!(framer.next(b"\x30\x03abc\xc0"), Frame::Package { len: 5 });
    assert_eq!(framer.next(b"\xc0"), Frame::NeedMore);
}

#[test]
fn what_is_no_packet_is_malformed() {
    assert_eq!(mqtt(100).next(b"\x00"), Frame::Malformed, "type 0 is forbidden");
    assert_eq!(mqtt(100).next(b"\x0f\x00"), Frame::Malformed);
    assert_eq!(mqtt(100).next(b"\x10\x80\x80\x80\x80"), Frame::Malformed);
    assert_eq!(mqtt(100).next(b"\x10\xff\xff\xff\xff\x01"), Frame::Malformed);
    assert_eq!(mqtt(100).next(b"\x10\x80\x80\x80"), Frame::NeedMore);
}

#[test]
fn the_limit_counts_the_fixed_header() {
    assert_eq!(mqtt(7).next(b"\x30\x05"), Frame::Incomplete { len: 7 });
    assert_eq!(mqtt(6).next(b"\x30\x05"), Frame::TooLong);
    assert_eq!(mqtt(3).next(b"\x30\x80"), Frame::NeedMore);
    assert_eq!(mqtt(3).next(b"\x30\x80\x80"), Frame::TooLong, "a header alone fills the limit");
    let too_small = FramingError::MaxLengthTooSmall { max_length: 1, needed: 2 };
    assert_eq!(Mqtt::new(1).unwrap_err(), too_small);
    assert_eq!(mqtt(2).next(b"\xc0\x00"), Frame::Package { len: 2 });
}

proptest! {
    #[test]
    fn any_chunking_gives_the_packets_that_were_written(
        bodies in vec(0_usize..300, 0..12),
        chunks in vec(1_usize..60, 1..20),
    ) {
        let packets: Vec<Vec<u8>> = bodies.iter().map(|body| {
            let field: &[u8] = match *body {
                0..128 => &[u8::try_from(*body).unwrap()],
                _ => &[u8::try_from(body % 128).unwrap() | 0x80, u8::try_from(body / 128).unwrap()],
            };
            [&[0x30], field, &vec![b'm'; *body]].concat()
        }).collect();
        let framer = Framer::new(&FramingConfig::Mqtt { max_length: 400 }).unwrap();
        let (seen, _) = answers(&framer, &packets.concat(), &chunks);
        prop_assert_eq!(seen, packets);
    }

    #[test]
    fn random_bytes_break_no_promise(
        stream in vec(any::<u8>(), 0..300),
        max_length in 2_u32..80,
        chunks in vec(1_usize..40, 1..20),
    ) {
        let framer = Framer::new(&FramingConfig::Mqtt { max_length }).unwrap();
        prop_assert_eq!(answers(&framer, &stream, &chunks).0, answers(&framer, &stream, &[300]).0);
    }
}
