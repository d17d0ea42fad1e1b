//! Recorded inputs, read as the oracle reads them. Apart, because only test files may read recordings.

use super::fuzz_percent;

#[test]
fn recorded_escapes_read_as_the_oracle_reads_them() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/percent");
    for entry in std::fs::read_dir(folder).expect("the folder is part of the repository") {
        let path = entry.expect("readable").path();
        fuzz_percent(&std::fs::read(path).expect("a recording is readable"));
    }
}
