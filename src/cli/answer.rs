//! What a server has answered that was taken for an API server, in words that are short enough to print.

/// More of an answer is not printed.
const LONGEST: usize = 300;
/// kube's reason for an answer that is no Status.
const UNREADABLE: &str = "Failed to parse error data";
/// What an API server, and many another server, says of a path that it does not know.
const NO_SUCH_PATH: &str = "404 page not found";

/// The beginning of a text, on one line; of an HTML page only its title.
pub fn excerpt(text: &str) -> String {
    let start: String = text.trim_start().chars().take(20).collect::<String>().to_lowercase();
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        return title(text).map_or("an HTML page".to_owned(), |title| format!("an HTML page, \"{title}\""));
    }
    shortened(text)
}

fn shortened(text: &str) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(LONGEST) {
        words.truncate(end);
        words.push('…');
    }
    words
}

fn title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    Some(shortened(&page[start..end])).filter(|title| !title.is_empty())
}

/// What has answered instead of an API server, if the error says that.
pub fn foreign(error: &kube::Error) -> Option<String> {
    match error {
        kube::Error::Api(status) if status.reason == UNREADABLE && status.message == NO_SUCH_PATH => None,
        kube::Error::Api(status) if status.reason == UNREADABLE && status.message.is_empty() => {
            Some(format!("{} without a text", status.code))
        }
        kube::Error::Api(status) if status.reason == UNREADABLE => {
            Some(format!("{} with {}", status.code, excerpt(&status.message)))
        }
        // Any JSON object is read as a Status, and what it lacks is left empty.
        kube::Error::Api(status) if status.reason.is_empty() && status.message.is_empty() && status.code == 0 => {
            Some("an error in JSON that is not from Kubernetes".to_owned())
        }
        kube::Error::SerdeError(why) => {
            Some(format!("something else than an object of Kubernetes ({})", excerpt(&why.to_string())))
        }
        kube::Error::FromUtf8(_) => Some("bytes that are not a text".to_owned()),
        _ => None,
    }
}

/// Whether the server does not know the path: it has no such kind, or no Kubernetes.
pub fn is_unknown_path(status: &kube::core::Status) -> bool {
    status.code == 404 && status.details.as_ref().is_none_or(|details| details.name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named_by_its_title_and_a_text_is_cut() {
        assert_eq!(excerpt("<!DOCTYPE html>\n<html><head><TITLE lang=en>Log\n in</TITLE>"), "an HTML page, \"Log in\"");
        assert_eq!(excerpt("<html><body>x"), "an HTML page");
        assert_eq!(excerpt("two\nlines\n"), "two lines");
        let long = excerpt(&"ä".repeat(1_000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (LONGEST + 1, true));
    }
}
