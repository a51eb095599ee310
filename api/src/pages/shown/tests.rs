//! What is shown is harmless, complete and has one original.

use super::*;
use ledger::operation::is_hidden;
use proptest::prelude::*;

/// Reads the page's text as a person would and turns it back into the original.
fn read_back(html: &str) -> String {
    let inner = html
        .strip_prefix(OPEN)
        .unwrap()
        .strip_suffix(CLOSE)
        .unwrap();
    let mut text = String::new();
    let mut tag = false;
    for c in inner.chars() {
        match c {
            '<' => tag = true,
            '>' if tag => tag = false,
            _ if tag => {}
            c => text.push(c),
        }
    }
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    let mut original = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("‹U+") {
        original.push_str(before);
        let (code, after) = after.split_once('›').unwrap();
        let (code, times) = code.split_once(" × ").unwrap_or((code, "1"));
        let c = char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap();
        let times: usize = times.replace(',', "").parse().unwrap();
        original.extend(std::iter::repeat_n(c, times));
        rest = after;
    }
    original + rest
}

fn nasty() -> impl Strategy<Value = String> {
    let c = prop_oneof![
        any::<char>(),
        prop::sample::select(vec![
            '‹',
            '›',
            '&',
            '<',
            '>',
            '"',
            '\'',
            ' ',
            '\n',
            '\r',
            '\t',
            '\0',
            '\u{202e}',
            '\u{2066}',
            '\u{200b}',
            '\u{feff}',
            '\u{e0041}',
            'U',
            '+',
            '2',
            'א',
            'а',
            ';',
            '#',
        ]),
    ];
    let run = (c, prop_oneof![Just(1_usize), 1_usize..8])
        .prop_map(|(c, times)| c.to_string().repeat(times));
    prop::collection::vec(run, 0..30).prop_map(|runs| runs.concat())
}

proptest! {
    #[test]
    fn what_is_shown_is_harmless_and_has_one_original(text in nasty()) {
        for (shown, kept) in [
            (ShownText::line(text.clone()), &[][..]),
            (ShownText::block(text.clone()), &['\n', '\t'][..]),
        ] {
            let html = shown.to_string();
            prop_assert_eq!(read_back(&html), text.clone());
            for c in html.chars() {
                prop_assert!(!is_hidden(c) || kept.contains(&c), "raw U+{:04X}", u32::from(c));
            }
        }
    }

    #[test]
    fn no_markup_comes_from_the_text(text in nasty()) {
        let html = ShownText::line(text).to_string();
        let ours = html
            .replace(OPEN, "")
            .replace(CLOSE, "")
            .replace("</span>", "")
            .replace("</mark>", "");
        for tag in ours.split('<').skip(1) {
            let ours = [
                "span class=\"chip\" title=\"",
                "mark class=\"mixed\" title=\"",
                "bdi class=\"natural\" dir=\"rtl\">",
            ];
            prop_assert!(ours.iter().any(|ours| tag.starts_with(ours)), "{}", tag);
        }
    }
}

#[test]
fn a_reversing_override_becomes_visible() {
    let html = ShownText::line("exe.\u{202e}gpj").to_string();
    assert!(html.contains("exe.<span class=\"chip\" title=\"right-to-left override\">"));
    assert!(html.contains("‹U+202E›</span>gpj"));
}

#[test]
fn an_imitated_chip_is_told_from_a_real_one() {
    let imitated = ShownText::line("‹U+202E›").to_string();
    let real = ShownText::line("\u{202e}").to_string();
    assert_ne!(imitated, real);
    assert!(imitated.contains("‹U+2039›</span>U+202E›"));
}

#[test]
fn spaces_at_the_edges_are_seen_and_inner_ones_stay() {
    let html = ShownText::line(" a b ").to_string();
    assert_eq!(html.matches("‹U+0020›").count(), 2);
    assert!(html.contains(">a b<"));
    assert_eq!(
        ShownText::line("  ")
            .to_string()
            .matches("‹U+0020›")
            .count(),
        2
    );
}

#[test]
fn lookalikes_are_named_once_and_only_when_drawn() {
    assert_eq!(ShownText::line("example.com").lookalikes(), None);
    assert_eq!(ShownText::line("\u{200b}").lookalikes(), None);
    let note = ShownText::line("é \u{440}\u{430}\u{443}\u{440}al")
        .lookalikes()
        .unwrap();
    assert_eq!(
        note,
        "раураl (letters of several scripts: р\u{a0}U+0440, а\u{a0}U+0430, у\u{a0}U+0443); é\u{a0}U+00E9"
            .replace("раураl", "\u{440}\u{430}\u{443}\u{440}al")
    );
    let many = ShownText::block("абвгдежзик").lookalikes().unwrap();
    assert!(many.ends_with(" and more"));
}

#[test]
fn eight_harmless_letters_do_not_hide_a_lookalike() {
    let text = "äöüßéèêëîô and p\u{430}ypal.com";
    let note = ShownText::block(text).lookalikes().unwrap();
    assert!(
        note.starts_with("p\u{430}ypal (letters of several scripts: \u{430}"),
        "{note}"
    );
    let html = ShownText::block(text).to_string();
    let marked = "<mark class=\"mixed\" title=\"letters of several scripts\">p\u{430}ypal</mark>";
    assert!(html.contains(marked), "{html}");
    let many: String = (0..40).map(|n| format!("n{n}\u{430} ")).collect();
    let note = ShownText::block(many).lookalikes().unwrap();
    assert!(
        note.contains("24 more such words, marked in the text"),
        "{note}"
    );
}

#[test]
fn a_word_in_another_script_that_looks_like_ascii_is_marked() {
    let text = "\u{430}\u{440}\u{440}\u{4cf}\u{435}.com";
    let html = ShownText::line(text).to_string();
    assert!(
        html.contains("title=\"looks like ASCII and is not\""),
        "{html}"
    );
    assert!(
        ShownText::line(text)
            .lookalikes()
            .unwrap()
            .contains("looks like ASCII")
    );
}

#[test]
fn a_run_of_one_hidden_character_is_shown_once() {
    let text = "\u{7f}".repeat(900_000);
    let html = ShownText::block(&text).to_string();
    assert!(html.contains("‹U+007F × 900,000›"), "{html}");
    assert!(html.len() < 200, "{}", html.len());
    assert_eq!(ShownText::line(&text).spelled_out(), "‹U+007F × 900,000›");
}

#[test]
fn from_four_on_a_run_is_shown_once() {
    let spelled_out = |times: usize| ShownText::line("\u{7f}".repeat(times)).spelled_out();
    assert_eq!(spelled_out(3), "‹U+007F›".repeat(3));
    assert_eq!(spelled_out(4), "‹U+007F × 4›");
}

#[test]
fn a_text_is_cut_where_it_is_too_long_and_says_where_the_rest_is() {
    let whole = "\u{7f}\u{1}".repeat(5_000_000);
    let mut text = ShownText::block(&whole);
    text.fit(10_000, || "https://x/files/param-1-1.txt".to_owned());
    let html = text.to_string();
    assert!(html.len() < 12_000, "{}", html.len());
    assert!(html.contains("of 10,000,000 bytes are shown"), "{html}");
    assert!(html.contains("<a href=\"https://x/files/param-1-1.txt\" download>"));
    let digest = <sha2::Sha256 as sha2::Digest>::digest(whole.as_bytes());
    assert!(html.contains(&hex::encode(digest)));
    assert_eq!((text.bytes(), text.lines()), (10_000_000, 1));

    let mut short = ShownText::block("a\u{440}b");
    let before = short.to_string();
    short.fit(1000, String::new);
    assert_eq!(short.to_string(), before);
}

#[test]
fn in_a_chat_letters_of_disguised_words_are_spelled_out() {
    assert_eq!(
        ShownText::line("ask p\u{430}ypal, Müller").spelled_out(),
        "ask p‹U+0430›ypal, Müller"
    );
}

proptest! {
    #[test]
    fn what_is_counted_is_not_far_from_what_is_written(text in nasty()) {
        let shown = ShownText::block(text);
        let written = shown.to_string().len();
        prop_assert!(written <= shown.cost(usize::MAX) * 2 + 100);
    }
}

#[test]
fn words_that_are_read_from_the_right_move_nothing_around_them() {
    let natural = |text: &str| {
        let html = ShownText::line(text).to_string();
        let runs = html.split(r#"<bdi class="natural" dir="rtl">"#).skip(1);
        let ends = runs.map(|run| run.split("</bdi>").next().unwrap().to_owned());
        ends.collect::<Vec<_>>()
    };
    assert_eq!(
        natural("note: \u{5d7}\u{5e0} \u{5d7}\u{5d3} 1.2"),
        ["\u{5d7}\u{5e0} \u{5d7}\u{5d3}"]
    );
    // A dot and digits stay where they are stored, and so do brackets and what hides.
    assert_eq!(natural("\u{5d0}\u{5d1}.1.2"), ["\u{5d0}\u{5d1}"]);
    assert_eq!(natural("\u{5d0}(\u{5d1}"), ["\u{5d0}", "\u{5d1}"]);
    assert_eq!(natural("\u{5d0}\u{200b}\u{5d1}"), ["\u{5d0}", "\u{5d1}"]);
    assert_eq!(natural("plain"), [""; 0]);
}

#[test]
fn each_line_of_a_script_is_numbered() {
    let numbered = |text: &str| ShownText::block(text).numbered().to_string();
    for (text, lines) in [("a", 1), ("a\n", 1), ("a\n\nb", 3), ("<i>\nb\n", 2)] {
        let html = numbered(text);
        assert_eq!(html.matches(r#"<span class="l">"#).count(), lines, "{html}");
        assert_eq!(
            html.matches("<span").count(),
            html.matches("</span>").count()
        );
        assert!(!html.contains("<i>"));
    }
}

#[test]
fn a_picture_is_no_look_alike() {
    assert_eq!(ShownText::line("\u{1f680} go").lookalikes(), None);
    assert!(ShownText::line("\u{430}").lookalikes().is_some());
}

#[test]
fn lookalikes_are_searched_in_all_of_a_text_that_is_cut() {
    let mut text = ShownText::block(format!("{}depl\u{43e}yer", "a ".repeat(5000)));
    let whole = text.lookalikes();
    assert!(whole.as_ref().unwrap().contains("U+043E"));
    text.fit(100, || "file".to_owned());
    assert!(text.original().len() < 200);
    assert_eq!(text.lookalikes(), whole);
    let long = ShownText::block(format!("{}depl\u{43e}yer", "a ".repeat(LONGEST)));
    assert_eq!(long.lookalikes(), whole);
}
