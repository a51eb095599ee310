//! Whether a script is an ES module, for the short form of a deploy.

/// True when the script has `export` outside of comments, texts and regular expressions, followed
/// by `default` or by a list that names a default. `export` is a reserved word that no other
/// statement can begin with, so what is found is at the top level or a syntax error.
///
/// This reads words, it does not parse: where a script is odd enough to mislead it, the full form
/// of a deploy says what it is.
pub(super) fn is_es_module(script: &str) -> bool {
    let mut words = Words {
        rest: script,
        templates: Vec::new(),
        braces: 0,
        operand_before: false,
    };
    while let Some(word) = words.next() {
        if word != "export" {
            continue;
        }
        match words.next() {
            Some("default") => return true,
            // `{ a, b as default }` and `* as default from "…"`.
            Some("{" | "*") => loop {
                match words.next() {
                    Some("default") => return true,
                    Some("}" | ";" | "from") | None => break,
                    Some(_) => {}
                }
            },
            Some(_) | None => {}
        }
    }
    false
}

/// The words and signs of a script, one at a time.
struct Words<'a> {
    rest: &'a str,
    /// For each template that is open around `${ … }`: the depth of braces where it goes on.
    templates: Vec<usize>,
    braces: usize,
    /// Whether the last word was a value, so that `/` divides; else it begins a regular expression.
    operand_before: bool,
}

impl<'a> Words<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (word, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    /// Skips to behind the first unhidden occurrence of `end`; a line break ends it too where
    /// `one_line`, so that a stray quote costs one line at most.
    fn skip_text(&mut self, end: char, one_line: bool) {
        let mut hidden = false;
        let mut in_class = false;
        for (index, character) in self.rest.char_indices() {
            match character {
                _ if hidden => hidden = false,
                '\n' if one_line => {
                    self.take(index);
                    return;
                }
                '\\' => hidden = true,
                '[' if end == '/' => in_class = true,
                ']' if end == '/' => in_class = false,
                _ if character == end && !in_class => {
                    self.take(index + character.len_utf8());
                    return;
                }
                _ => {}
            }
        }
        self.rest = "";
    }

    /// Skips the rest of a template up to its end or the next `${`.
    fn skip_template(&mut self) {
        let mut hidden = false;
        let mut dollar = false;
        for (index, character) in self.rest.char_indices() {
            let was_dollar = std::mem::take(&mut dollar);
            match character {
                _ if hidden => hidden = false,
                '\\' => hidden = true,
                '`' => {
                    self.take(index + 1);
                    return;
                }
                '{' if was_dollar => {
                    self.templates.push(self.braces);
                    self.operand_before = false;
                    self.take(index + 1);
                    return;
                }
                '$' => dollar = true,
                _ => {}
            }
        }
        self.rest = "";
    }

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let first = self.rest.chars().next()?;
            if first.is_whitespace() {
                self.take(first.len_utf8());
            } else if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.take(end);
            } else if self.rest.starts_with("/*") {
                let end = self.rest.find("*/").map_or(self.rest.len(), |at| at + 2);
                self.take(end);
            } else if matches!(first, '"' | '\'') {
                self.take(1);
                self.skip_text(first, true);
                self.operand_before = true;
            } else if first == '`' {
                self.take(1);
                self.operand_before = true;
                self.skip_template();
            } else if first == '/' && !self.operand_before {
                self.take(1);
                self.skip_text('/', true);
                self.operand_before = true;
            } else if is_word(first) {
                let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
                let word = self.take(end);
                self.operand_before = !matches!(
                    word,
                    "return"
                        | "typeof"
                        | "case"
                        | "in"
                        | "of"
                        | "void"
                        | "delete"
                        | "await"
                        | "yield"
                        | "throw"
                        | "else"
                        | "do"
                        | "default"
                );
                return Some(word);
            } else {
                match first {
                    '{' => self.braces += 1,
                    '}' if self.templates.last() == Some(&self.braces) => {
                        self.templates.pop();
                        self.take(1);
                        self.operand_before = true;
                        self.skip_template();
                        continue;
                    }
                    '}' => self.braces = self.braces.saturating_sub(1),
                    _ => {}
                }
                self.operand_before = matches!(first, ')' | ']');
                return Some(self.take(first.len_utf8()));
            }
        }
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$' | '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_recognised() {
        for module in [
            "export default { fetch() { return new Response('hi') } }",
            "import a from './a.js';\nexport default a;",
            "const handler = {};\nexport { handler as default };",
            "export const x = 1;\nexport default {}",
            "/* a */export/* b */default class {}",
            "const re = /\"/; export default {}",
            "const re = /[/\"]/; export default {}",
            "const half = a / 2; const s = '\"'; export default {}",
            "const t = `a ${ b ? `\"${c}` : {d: 1} } \"`; export default {}",
            "var s = 'it\\'s'; export default s",
            "export async function scheduled() {} export default {}",
            "export { a, b as default, c }",
        ] {
            assert!(is_es_module(module), "{module}");
        }
    }

    #[test]
    fn service_workers_are_not_modules() {
        for worker in [
            "",
            "addEventListener('fetch', event => event.respondWith(new Response('hi')))",
            "// export default {}\naddEventListener('fetch', f)",
            "/* export default {} */ addEventListener('fetch', f)",
            "const text = 'export default {}'; addEventListener('fetch', f)",
            "const text = `export default ${1} {}`; addEventListener('fetch', f)",
            "const re = /export default/; addEventListener('fetch', f)",
            "switch (a) { default: b() }",
            "module.exports = {}; switch (a) { default: b() }",
            "my.exported = 1; const export_default = 2",
        ] {
            assert!(!is_es_module(worker), "{worker}");
        }
    }

    #[test]
    fn what_is_not_closed_ends_with_the_script() {
        for broken in ["`${", "/*", "'", "`", "/a", "\"\\", "${`", "}}}`"] {
            assert!(!is_es_module(broken), "{broken}");
        }
    }
}
