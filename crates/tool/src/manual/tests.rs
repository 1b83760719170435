use super::*;
use crate::grammar::Grammar;

#[test]
fn every_command_has_a_section_that_begins_with_a_short_sentence() {
    for (name, first) in &FIRST_WORDS {
        let First::Noun(noun) = first else { continue };
        assert!(pages().any(|page| page.topic == *name), "{name}");
        for command in noun.commands {
            if command.name() == "help" {
                continue;
            }
            let what = format!("{name} {}", command.name());
            let about = about(&what).unwrap_or_default();
            assert!(!about.is_empty(), "{what}: no section");
            assert!(about.chars().count() <= 70, "{what}: {about}");
        }
    }
}

#[test]
fn every_page_is_about_a_first_word_and_has_examples() {
    for page in pages() {
        let known = FIRST_WORDS.iter().any(|(name, _)| *name == page.topic);
        assert!(known || page.topic == "rbpftool", "{}", page.topic);
        assert!(page.about.len() <= 60, "{}", page.about);
        assert!(!page.synopsis().is_empty(), "{}", page.topic);
        let last = page.sections().pop().unwrap();
        assert_eq!(last.title, "Examples", "{}", page.topic);
        let example = |block: &Block| matches!(block, Block::Example(_));
        assert!(last.blocks.iter().any(example), "{}", page.topic);
    }
    // and each word that does not explain itself has a page
    for (name, _) in &FIRST_WORDS {
        let known = pages().any(|page| page.topic == *name);
        assert!(known || ["help", "version"].contains(name), "{name}");
    }
}

#[test]
fn sections_name_commands_of_their_noun() {
    for (name, first) in &FIRST_WORDS {
        let First::Noun(noun) = first else { continue };
        let page = page(name).unwrap();
        for section in page.sections() {
            for title in section.title.split(", ") {
                let known = noun.commands.iter().any(|command| command.name() == title);
                assert!(
                    known || ["", "Examples"].contains(&title),
                    "{name}: {title}"
                );
            }
        }
    }
}

#[test]
fn examples_fit_the_grammar() {
    for page in pages() {
        for block in page
            .sections()
            .into_iter()
            .flat_map(|section| section.blocks)
        {
            let Block::Example(lines) = block else {
                continue;
            };
            for line in lines.join("\n").replace("\\\n", " ").lines() {
                let command = line.trim_start_matches("$ ");
                let Some(rest) = command.strip_prefix("rbpftool ") else {
                    continue;
                };
                if rest.contains(['|', '>', ';', '$', '\'', '"']) {
                    continue;
                }
                let words = rest.split_whitespace().map(OsString::from);
                let (line, parsed) = cli::parse(&words.collect::<Vec<_>>());
                parsed.unwrap();
                let first = line.words.first().map(OsString::as_os_str);
                let Some(grammar) = first.and_then(Grammar::of_first) else {
                    continue;
                };
                let fit = grammar.fit(&line.words);
                // a noun alone is its first command
                assert!(fit.complete || line.words.len() == 1, "{command}: {fit:?}");
            }
        }
    }
}

#[test]
fn blocks_are_told_apart() {
    let text = "\nOne\nparagraph.\n- item\n  more\n- another\n\nText:\n\n$ a \\\n    b\n\n== show, list\nX.\n";
    let sections = read::sections(text);
    assert_eq!(
        sections.first().unwrap().blocks,
        [
            Block::Paragraph("One paragraph.".to_owned()),
            Block::Item("item more".to_owned()),
            Block::Item("another".to_owned()),
            Block::Paragraph("Text:".to_owned()),
            Block::Example(vec!["$ a \\".to_owned(), "    b".to_owned()]),
        ]
    );
    assert_eq!(sections.len(), 2);
}
