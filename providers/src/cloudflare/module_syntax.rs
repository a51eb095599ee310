//! Tells ES modules from other scripts, for the short form of a deploy.
//!
//! `export` and `import` are reserved words: at the top level of a script, outside of comments, texts,
//! templates and regular expressions, they make it a module. So the script is read word by word, which
//! takes no more memory than its nesting does and no stack; a syntax tree of 10 MiB would take hundreds
//! of MiB, and its parser a stack as deep as an attacker writes.
//!
//! What words alone cannot tell is whether some `/` divides or begins a regular expression. Where that
//! is not certain and one of the two words is still to come, the answer is [`Syntax::Undecided`]: the
//! caller is asked, nothing is guessed.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Module,
    /// The script of a service worker.
    Script,
    /// It cannot be told for certain.
    Undecided,
}

/// The kind of script, as far as its words tell.
pub(super) fn syntax_of(script: &str) -> Syntax {
    let last_word = ["export", "import"]
        .into_iter()
        .filter_map(|word| script.rfind(word))
        .max();
    let Some(left) = last_word.and_then(|at| script.len().checked_sub(at)) else {
        return Syntax::Script;
    };
    let mut words = Words::of(script);
    // Once the last of the two words has been read, nothing can make it a module any more.
    while words.is_sure && words.rest.len() >= left {
        if words.last == Last::Dot {
            words.next();
            continue;
        }
        let is_statement = words.open.is_empty();
        match words.next() {
            None => break,
            Some("export") if is_statement => return Syntax::Module,
            Some("import") => match words.next() {
                None => break,
                // An expression, of which only `import.meta` needs a module.
                Some("(") => {}
                Some(".") => {
                    if words.next() == Some("meta") {
                        return Syntax::Module;
                    }
                }
                Some(_) if is_statement => return Syntax::Module,
                Some(_) => {}
            },
            Some(_) => {}
        }
    }
    if words.rest.len() >= left {
        Syntax::Undecided
    } else {
        Syntax::Script
    }
}

/// The word or sign that was read last, as far as it decides what a `/` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The end of a value: `/` divides.
    Operand,
    /// An expression follows: `/` begins a regular expression.
    Operator,
    /// The `.` before a name.
    Dot,
    /// `if`, `while` or `with`, which a condition follows; also `await` behind `for`.
    Head,
    /// `for`, which `await` may follow.
    For,
    /// `}`, `yield`, `await`, `of`, and `++` or `--` before a value: it may be either.
    Unsure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// `(`
    Round,
    /// `(` around the condition of a statement.
    Condition,
    /// `[`
    Square,
    /// `{`
    Curly,
    /// `${` in a template.
    Template,
}

/// The words and signs of a script, one at a time.
struct Words<'a> {
    rest: &'a str,
    open: Vec<Open>,
    last: Last,
    /// True when only blanks and comments stand before on the line.
    begins_line: bool,
    /// True when everything so far was read for certain; nothing is read after it was not.
    is_sure: bool,
}

impl<'a> Words<'a> {
    fn of(script: &'a str) -> Self {
        // A first line for a shell is a comment.
        let shell = script.starts_with("#!");
        let begin = if shell { line_end(script) } else { 0 };
        Self {
            rest: script.get(begin..).unwrap_or_default(),
            open: Vec::new(),
            last: Last::Operator,
            begins_line: true,
            is_sure: true,
        }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (word, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    fn unsure(&mut self) -> Option<&'a str> {
        self.is_sure = false;
        None
    }

    /// The next word or sign; of a text, a template or a regular expression at least its first sign.
    /// `None` at the end, and where it is not certain what comes.
    fn next(&mut self) -> Option<&'a str> {
        self.skip_blanks()?;
        let first = self.rest.chars().next()?;
        let begins_line = std::mem::replace(&mut self.begins_line, false);
        match first {
            // Comments in scripts, operators in modules.
            '<' if self.rest.starts_with("<!--") => self.unsure(),
            '-' if begins_line && self.rest.starts_with("-->") => self.unsure(),
            '"' | '\'' => self.literal(first, Self::text_end(self.rest, first)),
            '`' => {
                self.take(1);
                self.template()
            }
            '/' => match self.last {
                // A statement may have ended with the line: `var a`, `break`, `import 'b'`.
                Last::Operand if begins_line => self.unsure(),
                Last::Operand => self.sign(1, Last::Operator),
                Last::Operator | Last::Head | Last::For => {
                    self.literal(first, Self::pattern_end(self.rest))
                }
                Last::Dot | Last::Unsure => self.unsure(),
            },
            '+' | '-' if self.rest.chars().nth(1) == Some(first) => {
                let is_behind = self.last == Last::Operand && !begins_line;
                self.sign(
                    2,
                    if is_behind {
                        Last::Operand
                    } else {
                        Last::Unsure
                    },
                )
            }
            '.' if self.rest.starts_with("...") => self.sign(3, Last::Operator),
            '.' => self.sign(1, Last::Dot),
            '(' => {
                let is_head = matches!(self.last, Last::Head | Last::For);
                self.opened(if is_head {
                    Open::Condition
                } else {
                    Open::Round
                })
            }
            '[' => self.opened(Open::Square),
            '{' => self.opened(Open::Curly),
            ')' | ']' | '}' => self.closed(first),
            // A name may be written with escapes; a reserved word may not.
            '\\' => self.unsure(),
            _ if is_word(first) => Some(self.word(first)),
            _ => self.sign(first.len_utf8(), Last::Operator),
        }
    }

    /// Skips blanks and comments; `None` where a comment does not end.
    fn skip_blanks(&mut self) -> Option<()> {
        loop {
            let blanks = self.rest.find(|c| !is_blank(c)).unwrap_or(self.rest.len());
            let blanks = self.take(blanks);
            self.begins_line |= blanks.contains(is_line_end);
            if self.rest.starts_with("//") {
                self.take(line_end(self.rest));
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest.get(2..).and_then(|rest| rest.find("*/")) else {
                    self.is_sure = false;
                    return None;
                };
                let comment = self.take(end + 4);
                self.begins_line |= comment.contains(is_line_end);
            } else {
                return Some(());
            }
        }
    }

    fn sign(&mut self, bytes: usize, last: Last) -> Option<&'a str> {
        self.last = last;
        Some(self.take(bytes))
    }

    /// A text or regular expression that ends so many bytes from here.
    fn literal(&mut self, first: char, end: Option<usize>) -> Option<&'a str> {
        let Some(end) = end else {
            return self.unsure();
        };
        let literal = self.sign(end, Last::Operand);
        if first == '/' {
            let flags = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
            self.take(flags);
        }
        literal
    }

    /// Behind the closing quote; `None` where the line ends before it.
    fn text_end(text: &str, quote: char) -> Option<usize> {
        let mut characters = text.char_indices().skip(1).peekable();
        while let Some((index, character)) = characters.next() {
            match character {
                '\\' => {
                    // Both characters of a line end are hidden.
                    if let Some((_, '\r')) = characters.next() {
                        characters.next_if(|(_, next)| *next == '\n');
                    }
                }
                '\n' | '\r' => return None,
                _ if character == quote => return Some(index + 1),
                _ => {}
            }
        }
        None
    }

    /// Behind the closing `/` of a regular expression; `None` where the line ends before it.
    fn pattern_end(text: &str) -> Option<usize> {
        let mut in_class = false;
        let mut characters = text.char_indices().skip(1);
        while let Some((index, character)) = characters.next() {
            match character {
                _ if is_line_end(character) => return None,
                '\\' => {
                    let hidden = characters.next();
                    hidden.filter(|(_, hidden)| !is_line_end(*hidden))?;
                }
                '[' => in_class = true,
                ']' => in_class = false,
                '/' if !in_class => return Some(index + 1),
                _ => {}
            }
        }
        None
    }

    /// Reads a template up to its end or the next `${`.
    fn template(&mut self) -> Option<&'a str> {
        let mut characters = self.rest.char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                '\\' => drop(characters.next()),
                '`' => {
                    self.take(index);
                    return self.sign(1, Last::Operand);
                }
                '$' if self
                    .rest
                    .get(index + 1..)
                    .is_some_and(|rest| rest.starts_with('{')) =>
                {
                    self.take(index);
                    self.open.push(Open::Template);
                    return self.sign(2, Last::Operator);
                }
                _ => {}
            }
        }
        self.unsure()
    }

    fn opened(&mut self, open: Open) -> Option<&'a str> {
        self.open.push(open);
        self.sign(1, Last::Operator)
    }

    fn closed(&mut self, sign: char) -> Option<&'a str> {
        match (self.open.pop(), sign) {
            (Some(Open::Condition), ')') => self.sign(1, Last::Operator),
            (Some(Open::Round), ')') | (Some(Open::Square), ']') => self.sign(1, Last::Operand),
            (Some(Open::Curly), '}') => self.sign(1, Last::Unsure),
            (Some(Open::Template), '}') => {
                self.take(1);
                self.template()
            }
            _ => self.unsure(),
        }
    }

    fn word(&mut self, first: char) -> &'a str {
        let is_number = first.is_ascii_digit();
        let belongs = |c: char| is_word(c) || is_number && c == '.';
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let word = self.take(end);
        self.last = match word {
            _ if self.last == Last::Dot => Last::Operand,
            "if" | "while" | "with" => Last::Head,
            "for" => Last::For,
            "await" if self.last == Last::For => Last::Head,
            "await" | "yield" | "of" => Last::Unsure,
            "return" | "typeof" | "instanceof" | "in" | "void" | "delete" | "new" | "case"
            | "throw" | "else" | "do" | "extends" => Last::Operator,
            _ => Last::Operand,
        };
        word
    }
}

/// A letter, digit or sign of a name. Outside of ASCII there are no operators.
fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '_' | '$' | '#')
        || !character.is_ascii() && !is_blank(character)
}

fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}

fn is_line_end(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

fn line_end(text: &str) -> usize {
    text.find(is_line_end).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn modules_are_recognised() {
        for module in [
            "export default { fetch() { return new Response('hi') } }",
            "import a from './a.js';\nexport default a;",
            "const handler = {};\nexport { handler as default };",
            "export const x = 1;\nexport default {}",
            "export class Room {}",
            "import './a.js'\n(function(){})()",
            "console.log(import.meta.url)",
            "/* a */export/* b */default class {}",
            "// a\rexport default {}",
            "// a\u{2028}export default {}",
            "#!/usr/bin/env node\nexport default {}",
            "#!/usr/bin/it's\nexport default {}",
            "\u{feff}export default {}",
            "const re = /\"/; export default {}",
            "const re = /[/\"]/; export default {}",
            "const half = a / 2; const s = '\"'; export default {}",
            "const t = `a ${ b ? `\"${c}` : {d: 1} } \"`; export default {}",
            "var s = 'it\\'s'; export default s",
            "var s = 'a\\\r\nb'; export default s",
            "export async function scheduled() {} export default {}",
            "export { a, b as default, c }",
            // Minified: a regular expression behind a condition, and what only looks like one.
            "function f(a){if(a)/[\"'`]/.test(a)&&g();return a}export default{fetch:f}",
            "for(;a;)/'/.exec(b);while(c)/`/g.test(d);export default{}",
            "for await(const a of b)/\"/.test(a);export{x as default}",
            "var a=(b+c)/2,d='\"',e=f[0]/3;i++/2;export{a as default}",
            "var a=b.return/2,c=d?.if/3,e='/';export default{}",
            "var a=1./2,b=0x10/3,c=1e3/4+\"'\";export default{}",
            "var a={if:/\"/,export:1};a.export={};export default a",
            "while(n-->0)x();export default{}",
            "a=[.../\"/.exec(b)];export default a",
        ] {
            assert_eq!(syntax_of(module), Syntax::Module, "{module}");
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
            "import('./a.js').then(f)",
            "a.export = 1; b({export: 2}); class A { export() {} static export = 3 }",
            // Nothing behind what is uncertain can make it a module.
            "'export default'; if (a) {} /x'/.test(b)",
        ] {
            assert_eq!(syntax_of(worker), Syntax::Script, "{worker}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_asked() {
        for unclear in [
            "if (a) { b() } /\"/.test(c); export default {}",
            "a = {} / 2; export default {}; '/'",
            "async function f() { await /\"/; } export default f",
            "var a\n/'/.test(b);export default {}//'",
            "for(;;){break/*\n*/ /'/.c}export default {}//'",
            "let a = 1\n<!-- ' \nexport default a",
            "--> export default {}",
            "++/a/.b; export default 1",
            "'unclosed\nexport default {}",
            "a='b\nexport default c'",
            "a=/b\nexport default c/1",
            "a<!--b\nexport default a",
            "/* export default",
            ") export default {}",
            "\\u0061 = 1; export default a",
        ] {
            assert_eq!(syntax_of(unclear), Syntax::Undecided, "{unclear}");
        }
    }

    /// Taken for a division, the `/` leaves the export in a text; taken for an expression, it does not.
    #[test]
    fn words_and_signs_tell_a_division_from_an_expression() {
        let behind = |before: &str| {
            let script = format!("{before}/'/.b;export default c//'");
            syntax_of(&script)
        };
        for before in [
            "a=",
            "a,",
            "a?",
            "a:",
            "a;",
            "=>",
            "!",
            "&&",
            "return",
            "typeof",
            "a instanceof",
            "a in",
            "void",
            "delete",
            "new",
            "case",
            "throw",
            "else",
            "do",
            "class A extends",
            "if(a)",
            "while(a)",
            "with(a)",
            "for(;;)",
            "for await(;;)",
        ] {
            assert_eq!(behind(before), Syntax::Module, "{before}");
        }
        for before in [
            "a", "1", "1.", "'a'", "`a`", "/a/g", "a()", "a[0]", "a++", "a.if", "this",
        ] {
            assert_eq!(behind(before), Syntax::Script, "{before}");
        }
        for before in [
            "{}", "++", "a\n++", "await", "yield", "of", "a\n", "a()\n", "a.",
        ] {
            assert_eq!(behind(before), Syntax::Undecided, "{before}");
        }
    }

    proptest! {
        /// Whatever is hidden in front of it, a module is never taken for a service worker.
        #[test]
        fn a_module_is_never_taken_for_a_service_worker(
            parts in prop::collection::vec(prop::sample::select(vec![
                "if(a)/'/.test(b);", "a=b/c;", "a=`${b}'`;", "a='\\'`';", "function f(){}", "/[/']/.x;",
                "a={b:1}/2;", "a++/b;", "// '\n", "/* ` */", "for(;;)/\"/.x;", "a=[1]/2;", "a=(1)/2;",
                "do a();while(b)/'/.x;", "x=>{};", "a?.if/2;", "/'/g.x;", "class A{}", "a=/=/.x;",
                "yield/'/;", "}/'/", "\n", "var a\n", "while(a)break\n", "let b,c\n",
            ]), 0..12),
        ) {
            let script = format!("{}\nexport default {{}}", parts.concat());
            prop_assert_ne!(syntax_of(&script), Syntax::Script, "{}", script);
        }

        #[test]
        fn any_text_is_answered(script in "\\PC{0,60}(export|import)?\\PC{0,20}") {
            let _ = syntax_of(&script);
        }
    }
}
