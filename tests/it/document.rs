//! Not a test: parts of documents that tests make.

use std::path::Path;

/// `document` holds `made` between the markers that name `by`; under `OUTCROP_WRITE_DOCS=1`, from now on.
/// `filter` picks the tests that make it.
pub fn check(document: &str, by: &str, made: &str, filter: &str) {
    let begin = format!("<!-- made by tests/it/{by}: begin -->\n");
    let end = format!("<!-- made by tests/it/{by}: end -->\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(&path).expect("the document");
    let (before, rest) = text.split_once(&begin).expect("the document has the marker of the part");
    let (there, after) = rest.split_once(&end).expect("the document has the marker of its end");
    #[expect(clippy::disallowed_methods, reason = "a person asks for it in the environment")]
    let writes = std::env::var("OUTCROP_WRITE_DOCS").is_ok_and(|value| value == "1");
    if writes {
        let text = format!("{before}{begin}{made}{end}{after}");
        return std::fs::write(&path, text).expect("a writable document");
    }
    let differs = made.lines().zip(there.lines()).find(|(made, there)| made != there);
    assert!(
        made == there,
        "{document} is stale: renew it with `OUTCROP_WRITE_DOCS=1 cargo test --test it -- {filter}`.\n\
         First difference (what is, what stands there): {differs:#?}"
    );
}
