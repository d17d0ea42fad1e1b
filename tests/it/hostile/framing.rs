//! Where content ends, told ambiguously (C6, C8): refused, closed, nothing upstream, and what hides
//! behind never executed.

use super::rig::{check_refused, check_well, invoke, plain};

#[test]
fn ambiguous_lengths_are_refused() {
    let pair = plain();
    for (lines, statuses) in [
        ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", &[400][..]),
        ("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", &[400]),
        ("Content-Length: 2\r\nContent-Length: 2\r\n", &[400]),
        ("Content-Length: 2\r\nContent-Length: 3\r\n", &[400]),
        ("Content-Length: 2\r\ncontent-length: 0\r\n", &[400]),
        ("Content-Length: +2\r\n", &[400]),
        ("Content-Length: -2\r\n", &[400]),
        ("Content-Length: 2, 2\r\n", &[400]),
        ("Content-Length: 2, 3\r\n", &[400]),
        ("Content-Length: 2,\r\n", &[400]),
        ("Content-Length: \"2\"\r\n", &[400]),
        ("Content-Length: 2 2\r\n", &[400]),
        ("Content-Length: 2;\r\n", &[400]),
        ("Content-Length: 2.0\r\n", &[400]),
        ("Content-Length: 2e0\r\n", &[400]),
        ("Content-Length: 0x2\r\n", &[400]),
        ("Content-Length: 1_0\r\n", &[400]),
        ("Content-Length: \u{662}\r\n", &[400]),
        ("Content-Length:\r\n", &[400]),
        ("Content-Length: \r\n", &[400]),
        ("Content-Length: 18446744073709551616\r\n", &[400]),
        ("Content-Length: 18446744073709551618\r\n", &[400]),
        ("Content-Length: 99999999999999999999999999\r\n", &[400]),
        ("Content-Length: 9223372036854775807\r\n", &[413]),
        ("Content-Length: 18446744073709551615\r\n", &[413]),
        ("Content-Length : 2\r\n", &[400]),
        (" Content-Length: 2\r\n", &[400]),
        ("Content-Length\t: 2\r\n", &[400]),
        ("Content-Length: 2\r\n 0\r\n", &[400]),
        ("Content-Length: 2\n", &[400]),
        ("Content-Length: 2\rX: y\r\n", &[400]),
        ("Content-Length: 2\0\r\n", &[400]),
        ("Content-Length: \x0b2\r\n", &[400]),
        ("X: y\nContent-Length: 2\r\n", &[400]),
    ] {
        check_refused(&pair, lines, &invoke(lines, "{}"), statuses);
    }
    check_well(&pair);
}

#[test]
fn odd_transfer_codings_are_refused() {
    let pair = plain();
    for (coding, statuses) in [
        ("xchunked", &[501][..]),
        ("chunkedx", &[501]),
        ("chunke", &[501]),
        ("identity", &[501]),
        ("gzip", &[501]),
        ("gzip, chunked", &[501]),
        ("identity, chunked", &[501]),
        ("chunked, chunked", &[400]),
        ("chunked, identity", &[400]),
        ("chunked, gzip", &[400]),
        ("chunked,", &[400, 501]),
        (",chunked", &[400, 501]),
        ("chunked;q=1", &[400, 501]),
        ("\"chunked\"", &[400, 501]),
        ("chunked chunked", &[400, 501]),
        ("x chunked", &[400, 501]),
        ("chunked\u{a0}", &[400, 501]),
        ("\x0bchunked", &[400]),
        ("chunked\x0c", &[400]),
        ("chunked\0", &[400]),
        ("", &[400]),
        ("\r\n chunked", &[400]),
        ("chunked\r\nTransfer-Encoding: chunked", &[400]),
        ("chunked\r\nTransfer-Encoding: identity", &[400]),
        ("identity\r\nTransfer-Encoding: chunked", &[400]),
        ("chunked\r\nContent-Length: 5", &[400]),
    ] {
        let lines = format!("Transfer-Encoding: {coding}\r\n");
        check_refused(&pair, coding, &invoke(&lines, "0\r\n\r\n"), statuses);
    }
    for lines in [
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding\0: chunked\r\n",
    ] {
        check_refused(&pair, lines, &invoke(lines, "0\r\n\r\n"), &[400]);
    }
    let old = String::from_utf8(invoke("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")).unwrap();
    let old = old.replace("HTTP/1.1", "HTTP/1.0");
    check_refused(&pair, "TE in HTTP/1.0", old.as_bytes(), &[400]);
    check_well(&pair);
}

#[test]
fn odd_chunks_are_refused() {
    let pair = plain();
    let long_extension = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(17 * 1024));
    let many_extensions = format!("1;{}\r\n{{\r\n", "x".repeat(9 * 1024)).repeat(2);
    let long_trailers = format!("0\r\nx: {}\r\n\r\n", "y".repeat(9 * 1024));
    for content in [
        "0x2\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "1_0\r\n{}\r\n0\r\n\r\n",
        " 2\r\n{}\r\n0\r\n\r\n",
        "2 \r\n{}\r\n0\r\n\r\n",
        "2\t\r\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
        ";x\r\n{}\r\n0\r\n\r\n",
        "g\r\n{}\r\n0\r\n\r\n",
        "2h\r\n{}\r\n0\r\n\r\n",
        "\u{662}\r\n{}\r\n0\r\n\r\n",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "00000000000000002\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2\r{}\r\n0\r\n\r\n",
        "2;x\n\r\n{}\r\n0\r\n\r\n",
        "2;x\ry\r\n{}\r\n0\r\n\r\n",
        "2;x\0\r\n{}\r\n0\r\n\r\n",
        "2;x=\"\n\"\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}\r0\r\n\r\n",
        "2\r\n{}X\r\n0\r\n\r\n",
        "1\r\n{}\r\n0\r\n\r\n",
        "0\n\r\n",
        "0\r\n\n",
        "0\r\n\rX",
        "0\r\n: y\r\n\r\n",
        "0\r\nx\r\n\r\n",
        "0\r\n x: y\r\n\r\n",
        "0\r\nx : y\r\n\r\n",
        "0\r\nx: y\n\r\n",
        "0\r\nx: y\0\r\n\r\n",
        "0\r\nx: y\r\n z\r\n\r\n",
        "0\r\nx: y\rz\r\n\r\n",
        &long_extension,
        &many_extensions,
        &long_trailers,
    ] {
        let shown = &content[..content.len().min(40)];
        check_refused(&pair, shown, &invoke("Transfer-Encoding: chunked\r\n", content), &[400]);
    }
    for size in ["ffffffffffffffff", "7fffffffffffffff"] {
        // A size that fits but never comes: the content is never whole.
        let (stand_in, proxy) = &pair;
        let before = stand_in.record().requests();
        let mut client = proxy.client();
        client.send(&invoke("Transfer-Encoding: chunked\r\n", &format!("{size}\r\n{{}}")));
        client.half_close();
        client.check_closed(size);
        assert_eq!(stand_in.record().requests(), before, "{size}");
    }
    check_well(&pair);
}

#[test]
fn unusual_but_plain_framing_is_served() {
    let pair = plain();
    let (stand_in, proxy) = &pair;
    for (lines, content, bytes) in [
        ("Content-Length: 2\r\n", "{}", 2),
        ("Content-Length:2\r\n", "{}", 2),
        ("Content-Length:\t 2 \t\r\n", "{}", 2),
        ("Content-Length: 0000000000000000000000000002\r\n", "{}", 2),
        ("content-LENGTH: 0\r\n", "", 0),
        ("", "", 0),
        ("Content_Length: 9\r\nTransfer_Encoding: chunked\r\nContent-Length: 2\r\n", "{}", 2),
        ("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", 2),
        ("Transfer-Encoding:\tCHUNKED\r\n", "2\r\n{}\r\n0\r\n\r\n", 2),
        ("Transfer-Encoding: chunked\r\n", "1;a=\"b\";c\r\n{\r\n0001\r\n}\r\n000\r\n\r\n", 2),
        ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", 0),
        (
            "Transfer-Encoding: chunked\r\n",
            "2\r\n{}\r\n0\r\nContent-Length: 99\r\nAuthorization: x\r\n\r\n",
            2,
        ),
    ] {
        let mut client = proxy.client();
        client.send(&[invoke(lines, content), invoke(lines, content)].concat());
        for _ in 0..2 {
            assert_eq!(client.answer().whole(lines).status, 200, "{lines} {content}");
            let seen = stand_in.record().last().expect("a request");
            assert_eq!((seen.content_length, seen.anomalies.len()), (bytes, 0), "{lines}");
            assert_eq!(seen.field("content-length"), Some(bytes.to_string().as_str()), "{lines}");
        }
    }
    check_well(&pair);
}
