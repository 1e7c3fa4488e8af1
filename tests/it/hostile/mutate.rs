//! Small changes to a text, drawn by a seed: what users mistype, what tools garble, and what attackers write.

use fastrand::Rng;

/// Numbers at the edges of what types hold.
const NUMBERS: [&str; 22] = [
    "0",
    "-1",
    "-0",
    "101",
    "100000",
    "100001",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "-1e400",
    "1e-400",
    ".nan",
    ".inf",
    "-.inf",
    "0.5",
    "0x7fffffffffffffff",
    "1_000",
];
/// Values of other kinds.
const VALUES: [&str; 34] = [
    "~",
    "true",
    "{}",
    "[]",
    "[[]]",
    "{a: {b: c}}",
    "\"\"",
    "\"\\u0000\"",
    "\"\\u001b[2J\"",
    "\"\\u202e\"",
    "ünïcödé",
    "\"\u{2028}[[\"",
    "*a",
    "&a x",
    "!!binary x",
    "!Ref x",
    "|",
    ">-",
    "# no value",
    "0s",
    "1ms",
    "366d",
    "8784h",
    "1e9d",
    "999999999999999999999999h",
    "-5s",
    "100%",
    "10001%",
    "-1%",
    "4294967295%",
    "0.00001%",
    "r18446744073709551615",
    "{{args.x}}",
    "result < result",
];
/// Bytes that mean something.
const BYTES: &[u8] = b"\0\t\n\r \"#%&'*,-.:<>?@[]`{|}~\x1b\x7f\x80\xc3\xff";

/// Changes a text in one to three ways.
pub fn mutated(text: &str, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.usize(1..=3) {
        bytes = once(bytes, rng);
        bytes.truncate(1 << 20);
    }
    bytes
}

fn once(bytes: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
    let way = rng.u8(0..20);
    if way < 3 || bytes.is_empty() {
        return byte(bytes, rng);
    }
    let Ok(text) = String::from_utf8(bytes.clone()) else { return byte(bytes, rng) };
    let changed = match way {
        3..=5 => lines(&text, rng),
        6..=9 => replaced(&text, rng, number, |rng| NUMBERS[rng.usize(..NUMBERS.len())].to_owned()),
        10..=13 => replaced(&text, rng, value, |rng| VALUES[rng.usize(..VALUES.len())].to_owned()),
        14 => replaced(&text, rng, value, long),
        15 => replaced(&text, rng, value, deep),
        16 => documents(&text, rng),
        17 => bomb(&text, rng),
        18 => keys(&text, rng),
        _ => tokens(&text, rng),
    };
    changed.into_bytes()
}

/// One byte more, less or other.
fn byte(mut bytes: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
    let at = rng.usize(0..=bytes.len());
    let new = if rng.bool() { BYTES[rng.usize(..BYTES.len())] } else { rng.u8(..) };
    match rng.u8(0..4) {
        0 if at < bytes.len() => drop(bytes.remove(at)),
        1 if at < bytes.len() => bytes[at] = new,
        2 => bytes.truncate(at),
        _ => bytes.insert(at, new),
    }
    bytes
}

/// A line twice, gone, elsewhere, or indented otherwise.
fn lines(text: &str, rng: &mut Rng) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let (one, other) = (rng.usize(..lines.len()), rng.usize(..lines.len()));
    match rng.u8(0..5) {
        0 => lines.insert(other, lines[one].clone()),
        1 => drop(lines.remove(one)),
        2 => lines.swap(one, other),
        3 => lines[one].insert_str(0, ["  ", " ", "\t", "- "][rng.usize(..4)]),
        _ => lines[one] = lines[one].trim_start().to_owned(),
    }
    lines.concat()
}

/// Another text in one of the places that `find` gives.
fn replaced(
    text: &str,
    rng: &mut Rng,
    find: impl Fn(&str) -> Vec<std::ops::Range<usize>>,
    new: impl Fn(&mut Rng) -> String,
) -> String {
    let places = find(text);
    if places.is_empty() {
        return text.to_owned();
    }
    let place = places[rng.usize(..places.len())].clone();
    format!("{}{}{}", &text[..place.start], new(rng), &text[place.end..])
}

fn number(text: &str) -> Vec<std::ops::Range<usize>> {
    runs(text, |c| c.is_ascii_digit())
}

/// What is after `: ` up to the end of the line or of the flow.
fn value(text: &str) -> Vec<std::ops::Range<usize>> {
    let end = |from: usize| text[from..].find([',', '}', ']', '\n']).map_or(text.len(), |at| from + at);
    text.match_indices(": ").map(|(at, _)| at + 2..end(at + 2)).collect()
}

fn runs(text: &str, belongs: impl Fn(char) -> bool) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, letter) in text.char_indices().filter(|(_, letter)| belongs(*letter)) {
        match found.last_mut().filter(|run| run.end == at) {
            Some(run) => run.end = at + letter.len_utf8(),
            None => found.push(at..at + letter.len_utf8()),
        }
    }
    found
}

fn long(rng: &mut Rng) -> String {
    let unit = ["x", "ä", "\u{1F600}", "{{args.x}}", "(", "1", "a.", "\\u0000", "%"][rng.usize(..9)];
    format!("\"{}\"", unit.repeat(rng.usize(1..20_000)))
}

fn deep(rng: &mut Rng) -> String {
    let levels = [30, 99, 101, 130, 5_000][rng.usize(..5)];
    let (open, close) = [("[", "]"), ("{a: ", "}"), ("[{a: ", "}]")][rng.usize(..3)];
    format!("{}1{}", open.repeat(levels), close.repeat(levels))
}

fn documents(text: &str, rng: &mut Rng) -> String {
    format!("{text}\n---\n").repeat(rng.usize(2..12))
}

/// Aliases of aliases, or of one long text, in the place of a value.
fn bomb(text: &str, rng: &mut Rng) -> String {
    let mut head = format!("z0: &z0 {}\n", if rng.bool() { "[x, x]".to_owned() } else { "x".repeat(50_000) });
    let levels = rng.usize(1..14);
    for level in 1..=levels {
        head += &format!("z{level}: &z{level} [{}]\n", vec![format!("*z{}", level - 1); 10].join(", "));
    }
    head + &replaced(text, rng, value, |_| format!("*z{levels}"))
}

/// Two keys change places.
fn keys(text: &str, rng: &mut Rng) -> String {
    let colons = text.match_indices(':').map(|(at, _)| at);
    let word = |colon: usize| {
        let start = text[..colon].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
        (start < colon && text.is_char_boundary(start)).then_some(start..colon)
    };
    let places: Vec<_> = colons.filter_map(word).collect();
    if places.len() < 2 {
        return text.to_owned();
    }
    let (one, other) = (rng.usize(..places.len()), rng.usize(..places.len()));
    let (one, other) = (&places[one.min(other)], &places[one.max(other)]);
    if one == other {
        return text.to_owned();
    }
    let [before, between, after] = [&text[..one.start], &text[one.end..other.start], &text[other.end..]];
    format!("{before}{}{between}{}{after}", &text[other.clone()], &text[one.clone()])
}

/// A word of the file in the place of another one.
fn tokens(text: &str, rng: &mut Rng) -> String {
    let words = runs(text, |c| c.is_ascii_alphanumeric());
    if words.is_empty() {
        return text.to_owned();
    }
    let (from, to) = (words[rng.usize(..words.len())].clone(), words[rng.usize(..words.len())].clone());
    format!("{}{}{}", &text[..to.start], &text[from], &text[to.end..])
}

#[test]
fn one_seed_is_one_mutation_and_most_change_the_text() {
    let text = "kind: Rollout\nspec:\n  replicas: 3\n  steps: [{setWeight: 5}, {pause: {duration: 1m}}]\n";
    let of = |seed| mutated(text, &mut Rng::with_seed(seed));
    assert!((0..200).all(|seed| of(seed) == of(seed)));
    let different: std::collections::HashSet<_> = (0..200).map(of).collect();
    assert!(different.len() > 150, "only {} of 200", different.len());
}
