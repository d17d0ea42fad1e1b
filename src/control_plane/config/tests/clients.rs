//! `outcrop.client_credentials` and `require_verified_signature`.

use super::*;

fn with(outcrop: &str) -> String {
    format!("model_list: []\noutcrop: {{{outcrop}}}\n")
}

#[test]
fn client_credentials_are_read() {
    let yaml = with(
        "require_verified_signature: true, client_credentials: [\
         {access_key_id: TEAM-A-01, secret_access_key: MARKERsecretMARKERsecret}, \
         {access_key_id: TEAM.B_02, secret_access_key: os.environ/S}]",
    );
    let variables = [("S", "MARKERsecret-2-MARKERsecret")];
    let settings = check(&yaml, &variables, &["nothing is served"]).settings;
    assert!(settings.needs_verified_signature);
    let found = settings.client_credentials.iter();
    let found: Vec<_> =
        found.map(|it| (it.access_key_id.as_str(), it.secret_access_key.expose())).collect();
    let (one, two) = ("MARKERsecretMARKERsecret", "MARKERsecret-2-MARKERsecret");
    assert_eq!(found, [("TEAM-A-01", one), ("TEAM.B_02", two)]);
    let settings = check("model_list: []", &[], &["nothing is served"]).settings;
    assert!(!settings.needs_verified_signature && settings.client_credentials.is_empty());
}

#[test]
fn what_is_wrong_is_refused() {
    let secret = "secret_access_key: MARKERsecretMARKERsecret";
    for (list, error) in [
        ("x".to_owned(), "must be a list of access keys"),
        ("[{access_key_id: TEAM-A-01}]".to_owned(), "must have `access_key_id` and"),
        (format!("[{{access_key_id: short, {secret}}}]"), "must be 8 to 128 letters"),
        (format!("[{{access_key_id: 'TEAM/A/0001', {secret}}}]"), "must be 8 to 128 letters"),
        ("[{access_key_id: TEAM-A-01, secret_access_key: MARKERsecret}]".to_owned(), "too short"),
        (
            format!(
                "[{{access_key_id: TEAM-A-01, {secret}}}, {{access_key_id: TEAM-A-01, {secret}}}]"
            ),
            "of another one",
        ),
    ] {
        refuse(&with(&format!("client_credentials: {list}")), &[], &[error]);
    }
}
