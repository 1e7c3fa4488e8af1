//! Limits for untrusted files, in which a small text can expand to a large object.

/// The most bytes of one document. The API server takes objects of 1.5 MiB; a list of them is larger.
pub const DOCUMENT_BYTES: usize = 4 << 20;
/// The most bytes of all files of a call.
pub const CALL_BYTES: usize = 24 << 20;
/// The most documents of a call, the entries of lists among them.
pub const DOCUMENTS: usize = 10_000;
/// How deep maps and lists may be nested. serde_json reads 128 levels, and an object in a list or an answer of the API
/// server is a few levels deeper than in its own file.
pub const DEEPEST: usize = 100;
/// The most bytes of one text.
pub const TEXT_BYTES: usize = 1 << 20;
/// The most bytes of a key. YAML's own limit for a key without `?` is 1024 characters.
pub const KEY_BYTES: usize = 4096;
/// The most values (texts, numbers, lists ...) of one document, with its aliases expanded. A map counts as two, by the
/// memory that it takes.
pub const DOCUMENT_VALUES: usize = 400_000;
/// The most values of a call.
pub const CALL_VALUES: usize = 2_000_000;
/// The most bytes of the strings and keys of one document, with its aliases expanded.
pub const DOCUMENT_TEXTS: usize = 2 * DOCUMENT_BYTES;
/// The most bytes of texts and keys of a call.
pub const CALL_TEXTS: usize = 2 * CALL_BYTES;

/// Why a value is not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Maps in maps in maps.
    #[error("nests more than {DEEPEST} levels deep, the limit of the controller: flatten it")]
    Depth,
    /// A text.
    #[error("a string has more than {} MiB; move it to a separate file or object", TEXT_BYTES >> 20)]
    Text,
    /// A key.
    #[error("a key has more than {KEY_BYTES} bytes; shorten it")]
    Key,
    /// Values of the document.
    #[error(
        "the document has more than {DOCUMENT_VALUES} values, including expanded aliases; split it, or use fewer aliases"
    )]
    Values,
    /// Texts of the document.
    #[error(
        "the strings of the document have more than {} MiB, including expanded aliases; split it, or use fewer aliases",
        DOCUMENT_TEXTS >> 20
    )]
    Texts,
    /// Values or texts of all files.
    #[error(
        "with this document the files have more than {CALL_VALUES} values or {} MiB of strings, including expanded aliases; check them in several invocations",
        CALL_TEXTS >> 20
    )]
    Call,
}
