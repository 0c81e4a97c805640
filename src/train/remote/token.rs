//! The secret that a server and its clients share.

use std::fmt;
use std::path::Path;

/// Where a token is looked for: the token itself, and a file that holds it.
const VARIABLES: [&str; 2] = ["FROSTLINE_TOKEN", "FROSTLINE_TOKEN_FILE"];
/// Characters that a token has at least: 64 bits in hexadecimal.
const SHORTEST: usize = 16;
/// Characters that a token has at most.
const LONGEST: usize = 1024;

/// A token: 16 to 1024 characters of ASCII without spaces. It is never shown and never written.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token from its characters; white space around them does not count.
    ///
    /// # Errors
    /// A few words: what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !(SHORTEST..=LONGEST).contains(&text.len()) {
            return Err(format!("a token has {SHORTEST} to {LONGEST} characters, not {}", text.len()));
        }
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err("a token is one word of ASCII characters".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The token in a file.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|cause| cause.to_string());
        text.and_then(|text| Self::new(&text))
            .map_err(|cause| format!("No token can be read from {}: {cause}.", file.display()))
    }

    /// The token of `FROSTLINE_TOKEN`, or in the file that `FROSTLINE_TOKEN_FILE` names.
    ///
    /// # Errors
    /// A sentence, when what is there is no token, or nothing is there.
    pub fn from_env() -> Result<Self, String> {
        let [word, file] = VARIABLES.map(|name| std::env::var_os(name).filter(|value| !value.is_empty()));
        match (word, file) {
            (Some(word), _) => {
                let text = word.to_str().ok_or_else(|| "it is no text".to_owned());
                text.and_then(Self::new).map_err(|cause| format!("{} holds no token: {cause}.", VARIABLES[0]))
            }
            (None, Some(file)) => Self::read(Path::new(&file)),
            (None, None) => Err(format!(
                "A token is needed: put one into a file (openssl rand -hex 32 > token) and name it in {}, or set {}.",
                VARIABLES[1], VARIABLES[0]
            )),
        }
    }

    /// Its characters.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_words_that_do_not_show() {
        let token = Token::new("  0123456789abcdef\n").unwrap();
        assert_eq!((token.as_str(), format!("{token:?}").as_str()), ("0123456789abcdef", "Token(..)"));
        assert!(Token::new("0123456789abcde").unwrap_err().contains("16 to 1024 characters, not 15"));
        assert!(Token::new("0123456789 abcdef").unwrap_err().contains("one word"));
        assert!(Token::new(&"x".repeat(1025)).is_err() && Token::new("0123456789abcdéf").is_err());
        let said = Token::read(Path::new("no/such/file")).unwrap_err();
        assert!(said.contains("no/such/file") && said.ends_with('.'), "{said}");
    }
}
