//! What a request line asks for: `/model/{modelId}/{action}` under an optional base path.
//!
//! Deliberately independent of `crate::bedrock`: a mistake there must not be shared by its judge.

/// The four actions that the stand-in answers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operation {
    /// `POST /model/{modelId}/invoke`
    InvokeModel,
    /// `POST /model/{modelId}/invoke-with-response-stream`
    InvokeModelWithResponseStream,
    /// `POST /model/{modelId}/converse`
    Converse,
    /// `POST /model/{modelId}/converse-stream`
    ConverseStream,
}

impl Operation {
    /// Whether the answer is an event stream.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::InvokeModelWithResponseStream | Self::ConverseStream)
    }

    /// Whether the answer has the uniform shape of Converse rather than the model's own.
    pub fn is_converse(self) -> bool {
        matches!(self, Self::Converse | Self::ConverseStream)
    }
}

/// A request target in the shape of a model action: the operation and the model id, decoded once.
/// `None`: no such operation. `path` is raw, as on the wire; a raw `/` inside the id is not an id.
pub fn parse(path: &str, base_path: &str) -> Option<(Operation, String)> {
    let rest = path.strip_prefix(base_path)?.strip_prefix("/model/")?;
    let (id, action) = rest.split_once('/')?;
    let operation = match action {
        "invoke" => Operation::InvokeModel,
        "invoke-with-response-stream" => Operation::InvokeModelWithResponseStream,
        "converse" => Operation::Converse,
        "converse-stream" => Operation::ConverseStream,
        _ => return None,
    };
    let id = percent_decode(id)?;
    (!id.is_empty()).then_some((operation, id))
}

/// `text` with each `%XX` replaced once. `None` for a broken escape or bytes that are not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit =
            |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        decoded.push(digit(bytes.next()?)? * 16 + digit(bytes.next()?)?);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_decoded_once_and_actions_known() {
        let check = |path: &str, base: &str, expected: Option<(Operation, &str)>| {
            let expected = expected.map(|(operation, id)| (operation, id.to_owned()));
            assert_eq!(parse(path, base), expected, "{path}");
        };
        check("/model/a:0/invoke", "", Some((Operation::InvokeModel, "a:0")));
        check("/model/a%3A0/converse", "", Some((Operation::Converse, "a:0")));
        check("/model/a%253A0/converse", "", Some((Operation::Converse, "a%3A0")));
        let arn = "/vpc/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse-stream";
        let id = "arn:aws:bedrock:us-east-1:1:inference-profile/x";
        check(arn, "/vpc", Some((Operation::ConverseStream, id)));
        let stream = Some((Operation::InvokeModelWithResponseStream, "é"));
        check("/model/%C3%A9/invoke-with-response-stream", "", stream);
        let none = [
            "/",
            "/model//invoke",
            "/model/a",
            "/model/a/b/invoke",
            "/model/a%3/invoke",
            "/model/%FF/invoke",
        ];
        none.iter().for_each(|path| check(path, "", None));
    }
}
