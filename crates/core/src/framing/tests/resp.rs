//! The Redis serialization protocol.

use super::*;
use crate::framing::Resp;

fn resp(max_length: u32) -> Resp {
    Resp::new(max_length).unwrap()
}

/// One package of each kind, as the protocol's description writes them.
const VALUES: [&[u8]; 26] = [
    b"*2\r\n$4\r\nLLEN\r\n$6\r\nmylist\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"$6\r\na\r\nb\r\n\r\n",
    b"+OK\r\n",
    b"-ERR unknown command 'asdf'\r\n",
    b":1000\r\n",
    b":-7\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.23\r\n",
    b"(3492890328409238509324850943850943825024385\r\n",
    b"!21\r\nSYNTAX invalid syntax\r\n",
    b"=15\r\ntxt:Some string\r\n",
    b"%2\r\n+first\r\n:1\r\n+second\r\n:2\r\n",
    b"~3\r\n:1\r\n:2\r\n:3\r\n",
    b">3\r\n+message\r\n+channel\r\n$2\r\nhi\r\n",
    b"|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n",
    b"*3\r\n*2\r\n:1\r\n:2\r\n*1\r\n*0\r\n_\r\n",
    b"PING\r\n",
    b"SET key value\n",
    b"\r\n",
    b"\n",
];

/// Found by fuzzing: a length with zeros in front was refused in pieces and taken as a whole.
#[test]
fn a_length_is_no_longer_than_its_line_may_be_however_it_comes() {
    for kind in ['$', '*', '!', '%'] {
        for zeros in 1..40 {
            let line = format!("{kind}{}\r\n", "0".repeat(zeros));
            let is_good = line.len() <= 24;
            let whole = Framer::new(&FramingConfig::Resp { max_length: 700 }).unwrap();
            let mut cut = whole;
            let cut = (1..=line.len())
                .map(|end| cut.next(&line.as_bytes()[..end]))
                .find(|frame| *frame != Frame::NeedMore);
            let mut whole = whole;
            let whole = whole.next(line.as_bytes());
            assert_eq!(whole != Frame::Malformed, is_good, "{line:?}: {whole:?}");
            assert_eq!(cut, Some(whole), "{line:?}");
        }
    }
}

#[test]
fn every_kind_of_value_is_one_package() {
    for value in VALUES {
        let text = String::from_utf8_lossy(value);
        let mut framer = resp(1_000);
        for end in 0..value.len() {
            let frame = framer.next(&value[..end]);
            let waits = match frame {
                Frame::NeedMore => true,
                Frame::Incomplete { len } => len > end && len <= value.len(),
                _ => false,
            };
            assert!(waits, "{text:?} up to {end}: {frame:?}");
        }
        assert_eq!(framer.next(value), Frame::Package { len: value.len() }, "{text:?}");
        assert_eq!(framer.next(b"+next\r\n"), Frame::Package { len: 7 }, "behind {text:?}");
    }
}

#[test]
fn a_header_says_how_much_is_to_come() {
    assert_eq!(resp(1 << 20).next(b"$1000\r\n"), Frame::Incomplete { len: 1_009 });
    let command = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$70000\r\nv";
    assert_eq!(resp(1 << 20).next(command), Frame::Incomplete { len: 70_030 });
    // Behind the string at least the shortest value is to come.
    assert_eq!(resp(1 << 20).next(b"*2\r\n$10\r\n"), Frame::Incomplete { len: 24 });
}

#[test]
fn what_cannot_fit_is_too_long_on_its_header() {
    for header in [
        "$95\r\n",
        "*32\r\n",
        "%16\r\n",
        "*2147483648\r\n",
        "*4294967295\r\n",
        "$4294967296\r\n",
        "*9223372036854775808\r\n",
        "*2\r\n$87\r\n",
        "*2\r\n*30\r\n",
        "|16\r\n",
    ] {
        assert_eq!(resp(100).next(header.as_bytes()), Frame::TooLong, "{header:?}");
    }
    assert_eq!(resp(100).next(b"$93\r\n"), Frame::Incomplete { len: 100 });
    assert_eq!(resp(100).next(&[b'x'; 99]), Frame::NeedMore);
    assert_eq!(resp(100).next(&[b'x'; 100]), Frame::TooLong);
    let too_small = FramingError::MaxLengthTooSmall { max_length: 2, needed: 3 };
    assert_eq!(Resp::new(2).unwrap_err(), too_small);
}

#[test]
fn what_is_no_value_is_malformed() {
    for bytes in [
        "*x\r\n",
        "*\r\n",
        "*-2\r\n",
        "$-2\r\n",
        "%-1\r\n",
        "$?\r\n",
        "$+3\r\n",
        "$3\n",
        "+O\rK\r\n",
        "*1\r\nPING\r\n",
        "$3\r\nabcde",
        "$3\r\nabc\n\n",
        "*2\r\n$3\r\nabcde$1\r\n",
        "*1111111111111111111111111",
    ] {
        assert_eq!(resp(1_000).next(bytes.as_bytes()), Frame::Malformed, "{bytes:?}");
        assert_eq!(resp(1_000).next(bytes.as_bytes()), Frame::Malformed, "{bytes:?}");
    }
}

#[test]
fn a_long_line_is_searched_once() {
    let mut stream = vec![b'x'; 4 << 20];
    stream[0] = b'+';
    let mut framer = resp(8 << 20);
    for end in (0..stream.len()).step_by(16) {
        assert_eq!(framer.next(&stream[..end]), Frame::NeedMore);
    }
}

proptest! {
    #[test]
    fn any_chunking_gives_the_values_that_were_written(
        picks in vec(0_usize..VALUES.len(), 0..20),
        chunks in vec(1_usize..60, 1..20),
    ) {
        let values: Vec<Vec<u8>> = picks.iter().map(|pick| VALUES[*pick].to_vec()).collect();
        let framer = Framer::new(&FramingConfig::Resp { max_length: 400 }).unwrap();
        let (seen, _) = answers(&framer, &values.concat(), &chunks);
        prop_assert_eq!(seen, values);
    }

    /// Bytes that the protocol uses, so that deep and broken nesting is common.
    #[test]
    fn the_bytes_of_the_protocol_in_any_order_break_no_promise(
        picks in vec(0_usize..17, 0..200),
        max_length in 3_u32..60,
        chunks in vec(1_usize..40, 1..20),
    ) {
        let stream: Vec<u8> = picks.iter().map(|pick| b"*$%|+:\r\n\r\n0123-_x"[*pick]).collect();
        let framer = Framer::new(&FramingConfig::Resp { max_length }).unwrap();
        let (pieces, end) = answers(&framer, &stream, &chunks);
        let (whole, whole_end) = answers(&framer, &stream, &[300]);
        prop_assert_eq!(pieces, whole);
        prop_assert_eq!(end, whole_end);
    }
}
