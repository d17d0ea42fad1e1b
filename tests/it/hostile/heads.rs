//! Heads that break the grammar, are of another protocol, or are too large (C7, C12, C14).

use super::rig::{INVOKE, KEY, check_refused, check_well, good, invoke, plain};

#[test]
fn broken_lines_are_refused() {
    let pair = plain();
    let length = "Content-Length: 2\r\n";
    for line in [
        "X : y\r\n",
        "X\t: y\r\n",
        " X: y\r\n",
        "\tX: y\r\n",
        ": y\r\n",
        " : y\r\n",
        "no colon\r\n",
        "nocolon\r\n",
        "X: y\r\n z\r\n",
        "X: y\r\n\tz\r\n",
        "X: y\n",
        "X: y\r",
        "X: y\rZ: z\r\n",
        "X: y\r\rZ: z\r\n",
        "X: y\nZ: z\r\n",
        "X: y\n\r\n",
        "X: y\0\r\n",
        "X: \x01\r\n",
        "X: \x1b[31m\r\n",
        "X: \x7f\r\n",
        "X\0: y\r\n",
        "X Y: z\r\n",
        "X\x01: y\r\n",
        "(X): y\r\n",
        "X/Y: z\r\n",
        "X\"Y: z\r\n",
        "\u{e9}: y\r\n",
        "Host: x\r\n",
        "Host: y\r\n",
        "Host:\r\n",
    ] {
        check_refused(&pair, line, &invoke(&format!("{line}{length}"), "{}"), &[400]);
        check_refused(&pair, line, &invoke(&format!("{length}{line}"), "{}"), &[400]);
    }
    let rest = format!("Authorization: Bearer {KEY}\r\nContent-Length: 2\r\n\r\n{{}}");
    for host in ["Host: a b", "Host: a/b", "Host: u@a", "Host: a:b", "Host: [::1", "X: no host"] {
        let request = format!("POST {INVOKE} HTTP/1.1\r\n{host}\r\n{rest}");
        check_refused(&pair, host, request.as_bytes(), &[400]);
    }
    check_well(&pair);
}

#[test]
fn other_protocols_are_refused() {
    let pair = plain();
    let rest = format!("Host: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 2\r\n\r\n{{}}");
    for (line, status) in [
        (format!("POST {INVOKE}\r\n"), 400),
        (format!("GET {INVOKE}\r\n"), 400),
        (format!("POST {INVOKE} HTTP/0.9\r\n"), 400),
        (format!("POST {INVOKE} HTTP/1.2\r\n"), 505),
        (format!("POST {INVOKE} HTTP/1.9\r\n"), 505),
        (format!("POST {INVOKE} HTTP/2.0\r\n"), 505),
        (format!("POST {INVOKE} HTTP/2\r\n"), 505),
        (format!("POST {INVOKE} HTTP/3.0\r\n"), 505),
        (format!("POST {INVOKE} HTTP/1\r\n"), 400),
        (format!("POST {INVOKE} HTTP/1.\r\n"), 400),
        (format!("POST {INVOKE} HTTP/1.1.1\r\n"), 400),
        (format!("POST {INVOKE} HTTP/01.1\r\n"), 400),
        (format!("POST {INVOKE} HTTP/1.10\r\n"), 400),
        (format!("POST {INVOKE} http/1.1\r\n"), 400),
        (format!("POST {INVOKE} HTTP 1.1\r\n"), 400),
        (format!("POST {INVOKE} XHTTP/1.1\r\n"), 400),
        (format!("POST {INVOKE} HTTP/1.1 \r\n"), 400),
        (format!("POST {INVOKE} HTTP/1.1 x\r\n"), 400),
        (format!("POST {INVOKE} HTTP/1.1\n"), 400),
        (format!("POST {INVOKE} HTTP/1.1\r"), 400),
        (format!("POST  {INVOKE} HTTP/1.1\r\n"), 400),
        (format!("POST {INVOKE}  HTTP/1.1\r\n"), 400),
        (format!("POST\t{INVOKE}\tHTTP/1.1\r\n"), 400),
        (format!(" POST {INVOKE} HTTP/1.1\r\n"), 400),
        (format!("POST {INVOKE}\x0bHTTP/1.1\r\n"), 400),
        (format!("POST {INVOKE}\0 HTTP/1.1\r\n"), 400),
        (format!("POST {INVOKE}\u{e9} HTTP/1.1\r\n"), 400),
        (format!("\r\n\r\nPOST {INVOKE} HTTP/1.1\r\n"), 400),
        (format!("\nPOST {INVOKE} HTTP/1.1\r\n"), 400),
        (format!("\rPOST {INVOKE} HTTP/1.1\r\n"), 400),
        (format!("\u{feff}POST {INVOKE} HTTP/1.1\r\n"), 400),
        ("POST HTTP/1.1\r\n".to_owned(), 400),
        ("POST\r\n".to_owned(), 400),
        ("HTTP/1.1 200 OK\r\n".to_owned(), 400),
        ("\0\0\0\0\r\n".to_owned(), 400),
    ] {
        check_refused(&pair, &line, format!("{line}{rest}").as_bytes(), &[status]);
    }
    let client_hello = [0x16, 3, 1, 0, 0xf4, 1, 0, 0, 0xf0, 3, 3];
    check_refused(&pair, "TLS", &client_hello, &[400]);
    let mut garbage = fastrand::Rng::with_seed(7);
    for round in 0..64 {
        let mut bytes: Vec<u8> = (0..200).map(|_| garbage.u8(..)).collect();
        bytes.insert(0, 0x80 | garbage.u8(..)); // no method begins so
        check_refused(&pair, &format!("garbage {round}"), &bytes, &[400]);
    }
    check_well(&pair);
}

/// `good()` with one bit of its head flipped is served as another plain request, or refused: the proxy
/// never hangs on it once more bytes come, and never panics.
#[test]
fn any_flipped_bit_of_a_head_is_survived() {
    let (stand_in, proxy) = plain();
    let request = good();
    let head = request.len() - 2;
    for at in 0..head {
        let mut flipped = request.clone();
        flipped[at] ^= 1 << (at % 8);
        let mut client = proxy.client();
        client.send(&flipped);
        client.send(b"\r\n\r\n\r\n\r\n");
        client.half_close();
        client.answer();
    }
    assert_eq!(stand_in.record().anomalies(), Vec::<String>::new());
    check_well(&(stand_in, proxy));
}

#[test]
fn sizes_have_limits() {
    let pair = plain();
    let length = "Content-Length: 2\r\n";
    let many = |count| "X-Field: y\r\n".repeat(count);
    let long = |bytes: usize| "y".repeat(bytes);
    for (case, lines, status) in [
        ("97 fields and three others", format!("{length}{}", many(97)), 200),
        ("98 fields and three others", format!("{length}{}", many(98)), 431),
        ("5,000 fields", format!("{}{length}", many(5_000)), 431),
        ("a value of 60 KiB", format!("X: {}\r\n{length}", long(60 * 1024)), 200),
        ("a value of 64 KiB", format!("X: {}\r\n{length}", long(64 * 1024)), 431),
        ("a value of 1 MiB", format!("X: {}\r\n{length}", long(1024 * 1024)), 431),
        ("a name of 60 KiB", format!("{}: x\r\n{length}", long(60 * 1024)), 200),
        ("a name of 64 KiB", format!("{}: x\r\n{length}", long(64 * 1024)), 431),
        ("32 signed fields", format!("{}{length}", "X-Amzn-Bedrock-X: y\r\n".repeat(32)), 200),
        ("33 signed fields", format!("{}{length}", "X-Amzn-Bedrock-X: y\r\n".repeat(33)), 431),
        (
            "a signed field of 48 KiB",
            format!("X-Amzn-Bedrock-X: {}\r\n{length}", long(48 * 1024)),
            200,
        ),
        ("an empty value", format!("X:\r\nY: \r\n{length}"), 200),
    ] {
        let request = invoke(&lines, "{}");
        if status != 200 {
            check_refused(&pair, case, &request, &[status]);
            continue;
        }
        let mut client = pair.1.client();
        client.send(&request);
        assert_eq!(client.answer().whole(case).status, status, "{case}");
    }
    for bytes in [16 * 1024 + 1, 64 * 1024, 1024 * 1024] {
        let request = format!("POST /{} HTTP/1.1\r\nHost: x\r\n\r\n", long(bytes));
        check_refused(&pair, "a long target", request.as_bytes(), &[414]);
    }
    let method = format!("{} / HTTP/1.1\r\nHost: x\r\n\r\n", long(64 * 1024));
    check_refused(&pair, "a long method", method.as_bytes(), &[400, 431]);
    check_well(&pair);
}
