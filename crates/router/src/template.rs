//! Envoy's URI templates, turned into regular expressions.
//!
//! Segments between slashes are literals, `*` (one segment), `**` (any number) or a variable `{name}`, `{name=*}`,
//! `{name=some/*/path}`, which may have a literal before and behind it. The rules, odd ones among them, are those
//! that Envoy 1.40 was seen to have.

/// More variables are refused.
const MOST_VARIABLES: usize = 5;
/// Longer names of variables are refused.
const LONGEST_NAME: usize = 16;
/// Longer templates are refused.
const LONGEST: usize = 256;

/// What a `*` matches at least one of: the characters of a path segment by RFC 3986.
const SEGMENT: &str = "[a-zA-Z0-9-._~%!$&'()+,;:@=*]+";
/// What a `**` matches any number of.
const REST: &str = "[a-zA-Z0-9-._~%!$&'()+,;:@=*/]*";

/// The regular expression of a template, or what is wrong with it.
pub(crate) fn regex(template: &str) -> Result<String, String> {
    if template.is_empty() || template.len() > LONGEST {
        return Err(format!("it must have 1 to {LONGEST} characters"));
    }
    let path = template.strip_prefix('/').filter(|path| path.bytes().all(|byte| byte.is_ascii_graphic()));
    let mut rest = path.ok_or("it must start with a slash and have visible ASCII characters only")?;
    let mut parser = Parser::default();
    // A slash at the end stands before an empty segment.
    while !rest.is_empty() {
        parser.regex.push('/');
        rest = parser.segment(rest)?;
        match rest.strip_prefix('/') {
            Some("") => {
                parser.regex.push('/');
                break;
            }
            Some(next) => rest = next,
            None => {}
        }
    }
    if template == "/" {
        parser.regex.push('/');
    }
    Ok(parser.regex)
}

#[derive(Default)]
struct Parser<'t> {
    regex: String,
    names: Vec<&'t str>,
    /// A `**` was read, behind which nothing may match by pattern.
    open_ended: bool,
}

impl<'t> Parser<'t> {
    /// Reads a segment and returns what follows: nothing, or from the next slash.
    fn segment(&mut self, text: &'t str) -> Result<&'t str, String> {
        let end = text.find('/').unwrap_or(text.len());
        if text.starts_with('*') {
            let rest = self.operator(text)?;
            if rest.is_empty() || rest.starts_with('/') {
                return Ok(rest);
            }
            let end = rest.find('/').unwrap_or(rest.len());
            let (suffix, rest) = rest.split_at_checked(end).unwrap_or_default();
            self.literal(suffix)?;
            return if rest.is_empty() {
                Ok(rest)
            } else {
                Err("nothing may follow a * with a suffix".into())
            };
        }
        match text.find('{').filter(|at| *at < end) {
            None => {
                let (literal, rest) = text.split_at_checked(end).unwrap_or_default();
                self.literal(literal)?;
                Ok(rest)
            }
            Some(start) => self.mixed(text, start),
        }
    }

    /// A variable with what stands before and behind it in its segment.
    fn mixed(&mut self, text: &'t str, start: usize) -> Result<&'t str, String> {
        let (prefix, variable) = text.split_at_checked(start).unwrap_or_default();
        let variable = variable.strip_prefix('{').unwrap_or_default();
        let (variable, rest) = variable.split_once('}').ok_or("a } is missing")?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (suffix, rest) = rest.split_at_checked(end).unwrap_or_default();
        if !prefix.is_empty() {
            self.literal(prefix)?;
        }
        self.variable(variable)?;
        if !suffix.is_empty() {
            self.literal(suffix)?;
        }
        Ok(rest)
    }

    fn variable(&mut self, text: &'t str) -> Result<(), String> {
        let (name, matched) = text.split_once('=').map_or((text, None), |(name, text)| (name, Some(text)));
        self.name(name)?;
        self.regex.push('(');
        match matched {
            None => _ = self.operator("*")?,
            Some("") => return Err(format!("variable {name:?} matches nothing")),
            Some(mut rest) => loop {
                if rest.starts_with('*') {
                    rest = self.operator(rest)?;
                } else {
                    let end = rest.find('/').unwrap_or(rest.len());
                    let (literal, after) = rest.split_at_checked(end).unwrap_or_default();
                    self.literal(literal)?;
                    rest = after;
                }
                match rest.strip_prefix('/') {
                    None if rest.is_empty() => break,
                    Some(next) if !next.is_empty() => {
                        self.regex.push('/');
                        rest = next;
                    }
                    _ => return Err(format!("variable {name:?} cannot match {rest:?}")),
                }
            },
        }
        self.regex.push(')');
        Ok(())
    }

    fn name(&mut self, name: &'t str) -> Result<(), String> {
        let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_word || !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(format!("{name:?} cannot be the name of a variable"));
        }
        if name.len() > LONGEST_NAME {
            return Err(format!("the name {name:?} has more than {LONGEST_NAME} characters"));
        }
        if self.names.contains(&name) {
            return Err(format!("variable {name:?} is there twice"));
        }
        if self.names.len() >= MOST_VARIABLES {
            return Err(format!("more than {MOST_VARIABLES} variables"));
        }
        self.names.push(name);
        Ok(())
    }

    /// Reads `*` or `**` at the start of the text and returns what follows.
    fn operator<'a>(&mut self, text: &'a str) -> Result<&'a str, String> {
        if self.open_ended {
            return Err("nothing but literals may follow a **".into());
        }
        if let Some(rest) = text.strip_prefix("**") {
            self.regex.push_str(REST);
            self.open_ended = true;
            return Ok(rest);
        }
        self.regex.push_str(SEGMENT);
        Ok(text.strip_prefix('*').unwrap_or_default())
    }

    /// As in Envoy a `*` within a literal is not escaped: it repeats the character before it.
    fn literal(&mut self, text: &str) -> Result<(), String> {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=*".contains(&byte);
        if text.is_empty() || !text.bytes().all(is_valid) {
            return Err(format!("invalid literal {text:?}"));
        }
        for character in text.chars() {
            if "$()+.".contains(character) {
                self.regex.push('\\');
            }
            self.regex.push(character);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
