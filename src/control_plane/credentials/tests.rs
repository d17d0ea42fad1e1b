//! When credentials are asked for; how each source is asked is shown by `tests/it/credentials.rs`.

use std::time::Duration;

use super::*;

#[test]
fn renewal_leaves_time_to_fail_in() {
    for life_s in [1, 3, 60, 900, 3600, 43_200] {
        let life = Duration::from_secs(life_s);
        let (first, last) = (renew_after(Some(life), 1.0), renew_after(Some(life), 0.0));
        assert!(first <= last, "{life_s}");
        assert!(last < life, "{life_s}: {last:?}");
        assert!(first >= life / 2, "not sooner than it must: {life_s}: {first:?}");
        assert!(life - last <= Duration::from_millis(RENEWAL_LEAD_MS_MAX));
    }
    let hour = renew_after(Some(Duration::from_secs(3600)), 0.0);
    assert_eq!(hour, Duration::from_secs(3000));
    assert_eq!(renew_after(Some(Duration::ZERO), 0.5), Duration::from_millis(500), "no storm");
    assert_eq!(renew_after(None, 0.5), Duration::from_millis(CREDENTIAL_STATIC_MS));
}

#[test]
fn a_source_that_fails_is_asked_less_and_less_often() {
    let all: Vec<_> = (1..=40).map(|fails| again_after(fails, 0.0)).collect();
    assert!(all.is_sorted());
    assert_eq!(all[0], Duration::from_millis(CREDENTIAL_AGAIN_MS_MIN));
    assert_eq!(all[39], Duration::from_millis(CREDENTIAL_AGAIN_MS_MAX));
    assert!(again_after(5, 1.0) >= again_after(5, 0.0) / 2);
}
