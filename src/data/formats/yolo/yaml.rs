//! The few forms of YAML that `data.yaml` files are written in: top-level keys with a word, a list or a map of words.

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Word(String),
    List(Vec<String>),
    Map(Vec<(String, String)>),
}

/// A top-level key, and the line that it stands in.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub name: String,
    pub line: usize,
    pub held: Held,
}

/// The top-level keys of a text; what is in no form that is known is passed over.
pub(super) fn read(text: &str) -> Vec<Key> {
    let lines: Vec<(usize, &str)> = (1..).zip(text.trim_start_matches('\u{FEFF}').lines()).collect();
    let lines: Vec<(usize, &str)> = lines.into_iter().map(|(at, line)| (at, without_comment(line))).collect();
    let mut keys = Vec::new();
    let mut rest = lines.into_iter().filter(|(_, line)| !line.trim().is_empty()).peekable();
    while let Some((at, line)) = rest.next() {
        if line.starts_with([' ', '\t', '-']) {
            continue;
        }
        let Some((name, value)) = pair(line) else { continue };
        let mut value = value.to_owned();
        let mut block = Vec::new();
        while let Some((_, next)) = rest.next_if(|(_, next)| next.starts_with([' ', '\t', '-']) || is_open(&value)) {
            match value.is_empty() {
                true => block.push(next.trim()),
                false => value = format!("{value} {}", next.trim()),
            }
        }
        keys.push(Key { name, line: at, held: if value.is_empty() { from_block(&block) } else { from_flow(&value) } });
    }
    keys
}

/// Whether a list or map in brackets goes on in the next line.
fn is_open(value: &str) -> bool {
    (value.starts_with('[') && !value.ends_with(']')) || (value.starts_with('{') && !value.ends_with('}'))
}

/// A line up to a `#` that is not in quotes and has white space before it.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') && !before.is_alphanumeric() => quote = Some(c),
            None if c == '#' && before.is_whitespace() => return line.get(..at).unwrap_or_default().trim_end(),
            None => {}
        }
        before = c;
    }
    line.trim_end()
}

/// `key: value`; the colon stands outside of quotes, before white space or the end.
fn pair(text: &str) -> Option<(String, &str)> {
    let text = text.trim();
    let start = match text.chars().next()? {
        quote @ ('"' | '\'') => text.get(1..)?.find(quote)? + 2,
        _ => 0,
    };
    let ends = |at: &usize| text.get(at + 1..).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
    let at = text.match_indices(':').map(|(at, _)| at).filter(|at| *at >= start).find(ends)?;
    Some((word(text.get(..at)?), text.get(at + 1..)?.trim()))
}

/// A word without its quotes.
fn word(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return match quote {
                '\'' => inside.replace("''", "'"),
                _ => inside.replace("\\\"", "\"").replace("\\\\", "\\"),
            };
        }
    }
    text.to_owned()
}

fn from_block(lines: &[&str]) -> Held {
    if lines.iter().any(|line| line.starts_with("- ")) || lines.first() == Some(&"-") {
        return Held::List(lines.iter().filter_map(|line| line.strip_prefix('-')).map(word).collect());
    }
    Held::Map(lines.iter().filter_map(|line| pair(line)).map(|(key, value)| (key, word(value))).collect())
}

fn from_flow(value: &str) -> Held {
    let inside = |open, close| value.strip_prefix(open).and_then(|rest| rest.trim_end().strip_suffix(close));
    if let Some(list) = inside('[', ']') {
        return Held::List(parts(list).into_iter().map(word).collect());
    }
    match inside('{', '}') {
        Some(map) => {
            let pairs = parts(map).into_iter().filter_map(pair);
            Held::Map(pairs.map(|(key, value)| (key, word(value))).collect())
        }
        None => Held::Word(word(value)),
    }
}

/// The parts between commas outside of quotes.
fn parts(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut quote, mut before) = (Vec::new(), 0, None, ' ');
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') && !before.is_alphanumeric() => quote = Some(c),
            None if c == ',' => {
                found.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            None => {}
        }
        before = c;
    }
    found.push(text.get(start..).unwrap_or_default());
    found.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_names_is_read() {
        let list = |names: &[&str]| Held::List(names.iter().map(|name| (*name).to_owned()).collect());
        let map = |names: &[(&str, &str)]| {
            Held::Map(names.iter().map(|(key, name)| ((*key).to_owned(), (*name).to_owned())).collect())
        };
        for (text, held) in [
            ("names: ['a', \"b, c\", it's]  # three", list(&["a", "b, c", "it's"])),
            ("names:\n- a\n- 'b # no'\n- c d # yes\n", list(&["a", "b # no", "c d"])),
            ("names:\r\n  - a\r\n\r\n  - b\r\n", list(&["a", "b"])),
            ("names: [a,\n  b,\n  c]\nnc: 3", list(&["a", "b", "c"])),
            ("names: [\n  a,\n  b\n]\n", list(&["a", "b"])),
            ("names:\n  0: person\n  7: \"traffic: light\"\n", map(&[("0", "person"), ("7", "traffic: light")])),
            ("names: {0: a, 1: b}", map(&[("0", "a"), ("1", "b")])),
            ("names: person", Held::Word("person".to_owned())),
        ] {
            assert_eq!(read(text).first().map(|key| key.held.clone()), Some(held), "{text}");
        }
        let keys = read("\u{FEFF}# head\npath: C:/x y\ntrain: ../train/images\n\nnc: 2 # two\n");
        let told: Vec<(&str, usize)> = keys.iter().map(|key| (key.name.as_str(), key.line)).collect();
        assert_eq!(told, [("path", 2), ("train", 3), ("nc", 5)]);
        assert_eq!(keys[0].held, Held::Word("C:/x y".to_owned()));
        assert_eq!(keys[2].held, Held::Word("2".to_owned()));
    }
}
