//! Images: Nova Canvas, Titan's image generators, Stability. No tokens anywhere; billed by the image.

use super::Saying;

/// The start of every PNG, in base64.
const PNG: &str = r#""iVBORw0KGgo=""#;

fn images(saying: &Saying<'_>) -> String {
    vec![PNG; saying.usage.pieces].join(",")
}

/// Nova Canvas's and Titan's InvokeModel content.
pub fn canvas(saying: &Saying<'_>) -> String {
    format!(r#"{{"images":[{}],"error":null}}"#, images(saying))
}

/// Stability's.
pub fn stability(saying: &Saying<'_>) -> String {
    let each = |what: &str| vec![what; saying.usage.pieces].join(",");
    format!(
        r#"{{"seeds":[{}],"finish_reasons":[{}],"images":[{}]}}"#,
        each("7"),
        each("null"),
        images(saying)
    )
}
